//! `logs`: what a process printed.

use rpc::v1::{self, Stream};
use serde_json::json;

use crate::args::{LogsArgs, StreamArg};
use crate::render::json::stream_name;
use crate::report::{Session, Stop};

pub(super) async fn run(session: &mut Session<'_>, args: LogsArgs) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let stream = match args.stream {
        None => Stream::Unspecified,
        Some(StreamArg::Stdout) => Stream::Stdout,
        Some(StreamArg::Stderr) => Stream::Stderr,
    };
    let request = v1::StreamLogsRequest {
        name: args.name,
        lines: Some(args.lines),
        follow: args.follow,
        stream: stream.into(),
    };
    let mut logs = found.client.logs(request).await?;
    while let Some(chunk) = logs.next().await? {
        if session.json() {
            write_json_lines(session, &chunk)?;
        } else {
            if chunk.dropped_lines > 0 {
                session
                    .say(&format!("({} lines left out: this reader was too slow)", chunk.dropped_lines))?;
            }
            session.raw(&chunk.data)?;
        }
        // A follower must see a line when it comes, not when a buffer is full.
        session.flush()?;
    }
    Ok(())
}

/// One JSON object a line, for programs that read as it comes.
fn write_json_lines(session: &mut Session<'_>, chunk: &v1::StreamLogsResponse) -> Result<(), Stop> {
    if chunk.dropped_lines > 0 {
        session.write_json_line(&json!({ "dropped_lines": chunk.dropped_lines }))?;
    }
    let stream = stream_name(chunk.stream());
    for line in chunk.data.split_inclusive(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
        session.write_json_line(&json!({ "stream": stream, "line": line }))?;
    }
    Ok(())
}
