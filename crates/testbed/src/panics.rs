//! Panics of a run's thread: kept as text instead of printed, also those that tokio catches in a client's own task.

use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

/// What is done with the panics of a thread.
enum Panics {
    /// They are printed, as usual.
    Printed,
    /// They are kept; there was none so far.
    Kept,
    /// They are kept; this was the first.
    First(String),
}

thread_local! {
    static PANICS: RefCell<Panics> = const { RefCell::new(Panics::Printed) };
}

/// From now on the panics of this thread are kept.
pub(crate) fn keep() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let kept = PANICS.try_with(|panics| {
                let Ok(mut panics) = panics.try_borrow_mut() else { return false };
                if matches!(*panics, Panics::Kept) {
                    *panics = Panics::First(describe(info));
                }
                !matches!(*panics, Panics::Printed)
            });
            if !kept.unwrap_or(false) {
                usual(info);
            }
        }));
    });
    PANICS.set(Panics::Kept);
}

/// Its text and place.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a value that is no text");
    info.location().map_or_else(|| text.to_owned(), |place| format!("{text}, at {place}"))
}

/// The first panic of this thread since [`keep`], with its place. From now on panics are printed again.
pub(crate) fn take() -> Option<String> {
    match PANICS.replace(Panics::Printed) {
        Panics::First(text) => Some(text),
        Panics::Printed | Panics::Kept => None,
    }
}
