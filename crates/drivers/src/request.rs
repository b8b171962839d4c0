//! The operations of a run as commands of the crate `redis`, for every driver that speaks through its traits.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value};
use testbed::driver::{Answer, Request};

/// How much longer than the node a client waits for the reply of a blocking command.
pub(crate) const BLOCKING_SLACK: Duration = Duration::from_millis(500);

/// The command of `request`, which is one.
pub(crate) fn command(request: &Request) -> Cmd {
    commands(request).next().unwrap_or_default()
}

/// The commands of `request`, which are several.
pub(crate) fn pipeline(request: &Request) -> Pipeline {
    let mut pipeline = redis::pipe();
    if matches!(request, Request::Transaction(_)) {
        pipeline.atomic();
    }
    for command in commands(request) {
        pipeline.add_command(command);
    }
    pipeline
}

fn commands(request: &Request) -> impl Iterator<Item = Cmd> {
    request.commands().into_iter().map(|(name, args)| {
        let mut command = redis::cmd(name);
        command.arg(args);
        command
    })
}

/// Sends `request` on `connection` and reads its answer.
pub(crate) async fn run(connection: &mut impl ConnectionLike, request: &Request) -> RedisResult<Answer> {
    let reply: Value = if request.is_several() {
        pipeline(request).query_async(connection).await?
    } else {
        command(request).query_async(connection).await?
    };
    answer(request, reply)
}

/// What the reply to `request` means.
pub(crate) fn answer(request: &Request, reply: Value) -> RedisResult<Answer> {
    Ok(match (request, reply) {
        (_, Value::Nil) => Answer::Nil,
        (Request::Transaction(_) | Request::Pipeline(_), Value::Array(mut replies)) => match replies.pop() {
            Some(Value::Int(number)) => Answer::Number(number),
            _ => Answer::Done,
        },
        (Request::Pop(..), reply) => {
            let (_key, item): (Vec<u8>, Vec<u8>) = FromRedisValue::from_redis_value(reply)?;
            Answer::Value(item)
        }
        (_, Value::Okay) => Answer::Done,
        (_, Value::Int(number)) => Answer::Number(number),
        (_, reply) => Answer::Value(FromRedisValue::from_redis_value(reply)?),
    })
}

#[cfg(test)]
mod tests {
    use testbed::driver::Writes;

    use super::*;

    #[test]
    fn replies_in_words() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let get = Request::Get("k".into());
        let pop = Request::Pop("q".into(), 1);
        let word = || "w".to_owned();
        let several = Request::Pipeline(Writes { counter: word(), key: word(), list: word(), item: word() });
        let table = [
            (&get, Value::Nil, Answer::Nil),
            (&get, bulk("v"), Answer::Value(b"v".to_vec())),
            (&get, Value::Okay, Answer::Done),
            (&get, Value::Int(7), Answer::Number(7)),
            (&pop, Value::Array(vec![bulk("q"), bulk("item")]), Answer::Value(b"item".to_vec())),
            (&pop, Value::Nil, Answer::Nil),
            (&several, Value::Array(vec![Value::Int(1), Value::Okay, Value::Int(7)]), Answer::Number(7)),
        ];
        for (request, reply, expected) in table {
            assert_eq!(answer(request, reply), Ok(expected));
        }
        assert!(answer(&pop, Value::Int(1)).is_err());
    }

    #[test]
    fn requests_as_commands() {
        let packed = command(&Request::Pop("q".into(), 5)).get_packed_command();
        assert_eq!(packed, b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n5\r\n");
    }
}
