//! A subscriber that knows when it may have missed something.
//!
//! ```sh
//! cargo run -p sentinel-client --example subscriber -- redis-sentinel://127.0.0.1:26379/mymaster
//! ```

#![allow(clippy::print_stdout)]

use std::ops::ControlFlow;

use sentinel_client::{Client, Event};

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A message.
    Message(String),
    /// Messages may have been missed before this: look them up elsewhere.
    Gap,
}

/// Hands each message on `channel` to `hear`, and each gap, until that breaks off.
pub(crate) async fn listen(client: &Client, channel: &str, mut hear: impl FnMut(News) -> ControlFlow<()>) {
    let mut subscriber = client.subscriber();
    subscriber.subscribe(channel).await;
    let mut lost = false;
    loop {
        let news = match subscriber.next().await {
            Event::Message(message) => News::Message(message.get_payload().unwrap_or_default()),
            Event::Lost => {
                lost = true;
                continue;
            }
            // What is published from here on arrives.
            Event::Ready if lost => {
                lost = false;
                News::Gap
            }
            _ => continue,
        };
        if hear(news).is_break() {
            return;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis-sentinel://127.0.0.1:26379/mymaster".to_owned());
    listen(&Client::open(&url)?, "news", |news| {
        println!("{news:?}");
        ControlFlow::Continue(())
    })
    .await;
    Ok(())
}
