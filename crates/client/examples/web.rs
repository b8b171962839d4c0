//! A web handler that counts visits. During a failover it waits for the new master; if that takes too long, it answers
//! 503, and says whether the visit may have been counted.
//!
//! ```sh
//! cargo run -p sentinel-client --example web -- redis-sentinel://127.0.0.1:26379/mymaster
//! curl http://127.0.0.1:3000/
//! ```

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use redis::AsyncCommands as _;
use sentinel_client::{Client, Connection, details};

/// Counts the visit. Each request has its own clone of the one connection.
pub(crate) async fn visit(State(mut master): State<Connection>) -> Result<String, (StatusCode, String)> {
    match master.incr::<_, _, i64>("visits", 1).await {
        Ok(count) => Ok(format!("visit {count}\n")),
        Err(error) => {
            let counted = details(&error).is_none_or(|failure| failure.may_have_run);
            let text = if counted { "perhaps counted, perhaps not\n" } else { "not counted, try again\n" };
            Err((StatusCode::SERVICE_UNAVAILABLE, text.to_owned()))
        }
    }
}

/// The application.
pub(crate) fn app(client: &Client) -> Router {
    Router::new().route("/", get(visit)).with_state(client.master())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis-sentinel://127.0.0.1:26379/mymaster".to_owned());
    let client = Client::open(&url)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(&client)).await?;
    Ok(())
}
