//! `top`: all processes on the whole screen, as they are now.

mod feed;
mod keys;
mod layout;
mod screen;
mod state;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::{Notify, mpsc};

use crate::args::Names;
use crate::args::look::TopArgs;
use crate::report::{Failure, Session, Stop};
use crate::verb::known::known;
use crate::{DONE, FAILED, USAGE};
use feed::{News, Place, clock, face};
use keys::{Key, Keys};
use screen::Screen;
use state::{Page, State, Wish};

/// Between an escape key and what would make it the beginning of another one.
const ESCAPE: Duration = Duration::from_millis(50);
/// News and keys that wait for the screen.
const AHEAD: usize = 16;

pub(super) async fn run(session: &mut Session<'_>, args: TopArgs) -> Result<(), Stop> {
    if session.json() {
        let failure = Failure::new(USAGE, "top is for a terminal, and has no JSON");
        return Err(failure.with_hint("pm-cli stats --watch -o json writes one document a line").into());
    }
    if !(session.context.interactive && io::stdin().is_terminal() && io::stdout().is_terminal()) {
        let failure = Failure::new(FAILED, "top needs a terminal");
        return Err(failure.with_hint("pm-cli stats --watch writes tables to anything").into());
    }
    let mut found = session.connect().await?;
    let words = args.names.names;
    if !words.is_empty() {
        // Here, where an error can still be read.
        known(session, &mut found.client, &Names { names: words.clone() }).await?;
        if session.code != DONE {
            return Ok(());
        }
    }
    session.flush()?;
    let (news, heard) = mpsc::channel(AHEAD);
    let look = Arc::new(Notify::new());
    let place = Place { context: session.context.clone(), global: session.global.clone(), news, look };
    tokio::spawn(place.clone().watch(found.client, words, args.delay));
    let mut top = Top {
        screen: Some(Screen::enter()?),
        state: State::new(Screen::size(), args.sort),
        place,
        zone: (session.context.zone)(),
        paint: session.paint(),
    };
    top.run(heard).await
}

/// Columns and lines of the terminal.
pub(super) fn size() -> (usize, usize) {
    Screen::size()
}

struct Top {
    /// Taken away while the shell has the terminal.
    screen: Option<Screen>,
    state: State,
    place: Place,
    zone: jiff::tz::TimeZone,
    paint: crate::render::Paint,
}

impl Top {
    async fn run(&mut self, mut heard: mpsc::Receiver<News>) -> Result<(), Stop> {
        let mut input = input()?;
        let mut keys = Keys::default();
        let mut ends =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()]
                .map(signal)
                .into_iter()
                .collect::<io::Result<Vec<Signals>>>()?;
        let mut resized = signal(SignalKind::window_change())?;
        // Somebody stopped and continued this from outside.
        let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        loop {
            self.draw()?;
            let waits = keys.is_waiting();
            let pressed = tokio::select! {
                bytes = input.recv() => match bytes {
                    Some(bytes) => keys.feed(&bytes),
                    // The terminal is gone.
                    None => return Ok(()),
                },
                () = tokio::time::sleep(ESCAPE), if waits => keys.end().into_iter().collect(),
                news = heard.recv() => {
                    self.hear(news);
                    Vec::new()
                }
                _ = resized.recv() => {
                    self.redraw()?;
                    Vec::new()
                }
                _ = continued.recv() => {
                    self.take()?;
                    Vec::new()
                }
                () = any(&mut ends) => return Ok(()),
            };
            for key in pressed {
                if self.press(key)? {
                    return Ok(());
                }
            }
        }
    }

    /// Shows what is known.
    fn draw(&mut self) -> Result<(), Stop> {
        let lines = layout::frame(&self.state, &face(clock(), &self.zone), self.paint);
        if let Some(screen) = &mut self.screen {
            screen.show(lines)?;
        }
        Ok(())
    }

    fn redraw(&mut self) -> Result<(), Stop> {
        self.state.resize(Screen::size());
        if let Some(screen) = &mut self.screen {
            screen.clear()?;
        }
        Ok(())
    }

    /// Takes the terminal, again.
    fn take(&mut self) -> Result<(), Stop> {
        self.screen = None;
        self.screen = Some(Screen::enter()?);
        self.state.resize(Screen::size());
        Ok(())
    }

    fn hear(&mut self, news: Option<News>) {
        match news {
            None => {}
            Some(News::Sample(processes, usage, at)) => {
                self.state.sample(processes, &usage, at);
                if let Some((Page::Logs, name)) = self.state.reads() {
                    self.read(Page::Logs, name);
                }
            }
            Some(News::Trouble(why)) => self.state.trouble = Some(why),
            Some(News::Text(page, name, lines)) => self.state.text(page, &name, lines),
            Some(News::Note(note)) => self.state.note = Some(note),
        }
    }

    fn read(&self, page: Page, name: String) {
        tokio::spawn(self.place.clone().read(page, name));
    }

    /// Does what a key says; `true` = it is the last one.
    fn press(&mut self, key: Key) -> Result<bool, Stop> {
        match self.state.key(key) {
            Wish::Nothing => {}
            Wish::Quit => return Ok(true),
            Wish::Redraw => self.redraw()?,
            Wish::Act(action, name) => {
                tokio::spawn(self.place.clone().act(action, name));
            }
            Wish::Read(page, name) => self.read(page, name),
            Wish::Suspend => {
                self.screen = None;
                // As the terminal does it when Ctrl-Z means something to it. It comes back from here when continued.
                kill_current_process_group(Signal::TSTP).map_err(io::Error::from)?;
                self.take()?;
            }
        }
        Ok(false)
    }
}

/// Waits for any of these signals.
async fn any(signals: &mut [Signals]) {
    std::future::poll_fn(|cx| {
        let came = signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
        if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Reads the terminal on a thread: making it non-blocking would do so for the shell that it is shared with. The thread
/// ends with the program.
fn input() -> io::Result<mpsc::Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    thread::Builder::new().name("keys".to_owned()).spawn(move || {
        let mut buffer = [0; 1024];
        loop {
            match rustix::io::read(io::stdin(), &mut buffer) {
                Ok(0) => return,
                Ok(read) => {
                    if sender.blocking_send(buffer[..read].to_vec()).is_err() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    })?;
    Ok(receiver)
}
