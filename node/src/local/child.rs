//! Child processes that die with their parent, even when it is killed with -9.
//!
//! A child starts as our own binary's hidden subcommand `child`, which asks the kernel for a signal at its parent's
//! death and then becomes the wanted program. The kernel watches the *thread* that forked, so every spawn happens
//! on one thread that lives as long as the launcher and its children. Children get their own process group: Ctrl-C
//! reaches the parent only, which then stops them in order.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

use clap::{Args, ValueEnum};
use nix::{
    sys::{prctl, signal::Signal},
    unistd::{Pid, getppid},
};
use thiserror::Error;
use tokio::sync::oneshot;

/// How often a running child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// Arguments of the hidden subcommand `child`.
#[derive(Clone, Debug, Args)]
pub struct ChildArgs {
    /// Process that must be alive for the program to run.
    #[arg(long)]
    parent: i32,
    /// What the program receives when that process dies.
    #[arg(long, value_enum, default_value_t = DeathSignal::Kill)]
    signal: DeathSignal,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What a child receives when its parent dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DeathSignal {
    /// Asks it to end, for programs that save their state then.
    #[value(name = "TERM")]
    Term,
    /// Ends it.
    #[default]
    #[value(name = "KILL")]
    Kill,
}

impl DeathSignal {
    const fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Kill => "KILL",
        }
    }

    const fn signal(self) -> Signal {
        match self {
            Self::Term => Signal::SIGTERM,
            Self::Kill => Signal::SIGKILL,
        }
    }
}

/// Why the hidden subcommand did not become the program.
#[derive(Debug, Error)]
pub enum BecomeError {
    /// No program was named.
    #[error("no program to run was given")]
    NoProgram,
    /// The kernel refused to watch the parent.
    #[error("could not tie this process to its parent")]
    DeathSignal(#[source] nix::Error),
    /// The parent was gone before it could be watched.
    #[error("parent {0} is gone")]
    ParentGone(i32),
    /// The program could not be started.
    #[error("could not run {program}")]
    Exec {
        /// What was to be run.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Runs the hidden subcommand `child`: becomes the program, so it returns only to say why it could not.
pub fn become_program(args: &ChildArgs) -> BecomeError {
    let Some((program, rest)) = args.command.split_first() else {
        return BecomeError::NoProgram;
    };
    if let Err(error) = prctl::set_pdeathsig(args.signal.signal()) {
        return BecomeError::DeathSignal(error);
    }
    // A parent that died before the line above sends nothing, and we already belong to another process.
    if getppid() != Pid::from_raw(args.parent) {
        return BecomeError::ParentGone(args.parent);
    }
    let source = Command::new(program).args(rest).exec();
    BecomeError::Exec {
        program: program.to_string_lossy().into_owned(),
        source,
    }
}

/// A program to start as a child.
#[derive(Clone, Debug)]
pub struct Program {
    /// Executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables added to its environment.
    pub environment: Vec<(&'static str, String)>,
    /// What it receives when this process dies.
    pub at_parents_death: DeathSignal,
    /// File that takes its output; emptied at every start.
    pub log: PathBuf,
}

/// Starts children through `exe child …`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Launcher {
    exe: PathBuf,
    orders: Arc<mpsc::Sender<Order>>,
}

#[derive(Debug)]
struct Order {
    command: Command,
    program: Program,
    answer: oneshot::Sender<io::Result<Child>>,
    // Held by the child too, so the thread outlives every child.
    orders: Arc<mpsc::Sender<Order>>,
}

impl Launcher {
    /// A launcher whose hidden subcommands are served by `exe`.
    pub fn new(exe: PathBuf) -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("x402-launcher".into())
            .spawn(move || {
                for order in inbox {
                    order.fulfil();
                }
            })?;
        Ok(Self {
            exe,
            orders: Arc::new(orders),
        })
    }

    /// The binary that serves the hidden subcommands.
    pub fn exe(&self) -> &Path {
        &self.exe
    }

    /// Starts `program`.
    pub async fn start(&self, program: Program) -> io::Result<Child> {
        let log = File::create(&program.log)?;
        let mut command = Command::new(&self.exe);
        command
            .args(["child", "--parent"])
            .arg(process::id().to_string())
            .args(["--signal", program.at_parents_death.name(), "--"])
            .arg(&program.path)
            .args(&program.arguments)
            .envs(
                program
                    .environment
                    .iter()
                    .map(|(name, value)| (*name, value)),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let (answer, started) = oneshot::channel();
        let order = Order {
            command,
            program,
            answer,
            orders: Arc::clone(&self.orders),
        };
        self.orders.send(order).map_err(|_| thread_gone())?;
        started.await.map_err(|_| thread_gone())?
    }
}

fn thread_gone() -> io::Error {
    io::Error::other("the thread that starts children has ended")
}

impl Order {
    fn fulfil(mut self) {
        let child = self.command.spawn().map(|process| Child {
            process,
            program: self.program,
            _orders: self.orders,
        });
        // A caller that went away meanwhile drops the child, and dropping kills it.
        drop(self.answer.send(child));
    }
}

/// A running child. Dropping it kills it; [`stop`](Self::stop) lets it finish.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    program: Program,
    _orders: Arc<mpsc::Sender<Order>>,
}

impl Child {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it runs.
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Resolves when it ends. Safe to drop and to ask again.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.has_ended()? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Asks it to end and insists after `grace`.
    pub async fn stop(mut self, grace: Duration) -> io::Result<ExitStatus> {
        if let Some(status) = self.has_ended()? {
            return Ok(status);
        }
        let id = i32::try_from(self.id()).map_err(io::Error::other)?;
        nix::sys::signal::kill(Pid::from_raw(id), Signal::SIGTERM)?;
        if let Ok(ended) = tokio::time::timeout(grace, self.ended()).await {
            return ended;
        }
        self.process.kill()?;
        self.ended().await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only for a process that is already gone and reaped.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
