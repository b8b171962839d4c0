//! Panics of a run's thread: kept as text instead of printed, also those that tokio catches in a client's own task.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    /// `None`: panics of this thread are printed as usual. Else the first one, if there was one.
    static FIRST: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// From now on the panics of this thread are kept.
pub(crate) fn keep() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let kept = FIRST.try_with(|first| {
                first.try_borrow_mut().is_ok_and(|mut first| match &mut *first {
                    Some(first) => {
                        let text = info.payload_as_str().unwrap_or("a value that is no text");
                        first.get_or_insert_with(|| match info.location() {
                            Some(place) => format!("{text}, at {place}"),
                            None => text.to_owned(),
                        });
                        true
                    }
                    None => false,
                })
            });
            if !kept.unwrap_or(false) {
                usual(info);
            }
        }));
    });
    FIRST.with_borrow_mut(|first| *first = Some(None));
}

/// The first panic of this thread since [`keep`], with its place. From now on panics are printed again.
pub(crate) fn take() -> Option<String> {
    FIRST.with_borrow_mut(Option::take).flatten()
}
