//! Starts children so that the kernel ends them with this process.
//!
//! `setpriv --pdeathsig KILL` asks for that before it becomes the program. Linux goes by the *thread* that started the
//! child, so one thread, which lives as long as this process, starts them all.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::binaries::in_path;

type Job = (Command, Sender<io::Result<Child>>);

/// Starts `program` with `argument`, without input and output, in a process group of its own: Ctrl-C at a terminal reaches
/// this process alone.
pub(crate) fn spawn(program: &Path, argument: &Path) -> io::Result<Child> {
    let mut command = match in_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.arg(argument).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (answer, answered) = channel();
    let gone = |_| io::Error::other("the thread that starts processes is gone");
    spawner()?.send((command, answer)).map_err(gone)?;
    answered.recv().map_err(|_| io::Error::other("the thread that starts processes is gone"))?
}

fn spawner() -> io::Result<Sender<Job>> {
    static SPAWNER: OnceLock<Mutex<Option<Sender<Job>>>> = OnceLock::new();
    let mut spawner = SPAWNER.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = &*spawner {
        return Ok(sender.clone());
    }
    let (sender, jobs) = channel::<Job>();
    std::thread::Builder::new().name("real-spawner".into()).spawn(move || {
        for (mut command, answer) in jobs {
            // Whoever asked has gone: the child must not stay.
            if let Err(unheard) = answer.send(command.spawn())
                && let Ok(mut child) = unheard.0
            {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    })?;
    *spawner = Some(sender.clone());
    Ok(sender)
}
