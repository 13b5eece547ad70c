//! Look-ups that hang, fail and change their mind.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// Passes at once when all is well, fails after this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A name service under control: each look-up waits for its answer.
struct Names {
    resolver: Arc<Resolver>,
    /// The names as they are looked up.
    asked: Receiver<String>,
    answers: Sender<io::Result<Vec<SocketAddr>>>,
}

impl Names {
    fn new() -> Self {
        let (sender, asked) = channel();
        let (answers, answer) = channel::<io::Result<_>>();
        let answer = Mutex::new(answer);
        let resolver = Resolver::with(Box::new(move |host| {
            sender.send(host.to_owned()).unwrap();
            // When the test is over there is no answer any more.
            answer.lock().unwrap().recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
        }));
        Self { resolver: Arc::new(resolver), asked, answers }
    }

    fn ask(&self, host: &'static str) -> tokio::task::JoinHandle<Result<Vec<SocketAddr>, Failure>> {
        let resolver = Arc::clone(&self.resolver);
        tokio::spawn(async move { resolver.resolve(host, Deadline::after(PATIENCE)).await })
    }

    /// Lets everything that was spawned begin.
    async fn asked(&self) -> String {
        tokio::task::yield_now().await;
        self.asked.recv_timeout(PATIENCE).unwrap()
    }
}

impl Name {
    fn waiting(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.found.receiver_count())
    }
}

fn address(text: &str) -> Vec<SocketAddr> {
    vec![format!("{text}:0").parse().unwrap()]
}

fn unknown() -> io::Error {
    io::Error::other("failed to lookup address information: Name or service not known")
}

#[tokio::test]
async fn addresses_and_localhost_need_no_look_up() {
    let resolver = Resolver::with(Box::new(|host| panic!("{host} was looked up")));
    let resolved = async |host: &str| {
        let addresses = resolver.resolve(host, Deadline::after(Duration::ZERO)).await.unwrap();
        addresses.iter().map(|a| a.ip().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(resolved("127.0.0.1").await, ["127.0.0.1"]);
    assert_eq!(resolved("fd00::1").await, ["fd00::1"]);
    assert_eq!(resolved("localhost").await, ["127.0.0.1", "::1"]);
    assert_eq!(resolved("LocalHost").await, ["127.0.0.1", "::1"]);
    assert_eq!(resolver.0.lock().threads, 0);
}

#[tokio::test]
async fn one_look_up_serves_all_who_ask_meanwhile() {
    let names = Names::new();
    let asking: Vec<_> = (0..100).map(|_| names.ask("db")).collect();
    while names.resolver.0.lock().names.get("db").is_none_or(|db| db.waiting() < 100) {
        tokio::task::yield_now().await;
    }
    names.answers.send(Ok(address("10.0.0.7"))).unwrap();
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap(), address("10.0.0.7"));
    }
    assert_eq!(names.asked.try_iter().collect::<Vec<_>>(), ["db"], "one look-up was enough");
}

#[tokio::test]
async fn an_unknown_name_is_said_to_be_unknown_and_is_not_kept() {
    let names = Names::new();
    let asked = names.ask("no.such");
    names.answers.send(Err(unknown())).unwrap();
    let failure = asked.await.unwrap().unwrap_err();
    assert_eq!(failure, Failure::said("no.such can't be resolved: Name or service not known"));
    assert!(names.resolver.0.lock().names.is_empty());
}

#[tokio::test]
async fn the_last_addresses_are_used_while_there_are_no_newer_ones() {
    let names = Names::new();
    let first = names.ask("db");
    names.answers.send(Ok(address("10.0.0.7"))).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), address("10.0.0.7"));

    let failing = names.ask("db");
    names.answers.send(Err(unknown())).unwrap();
    assert_eq!(failing.await.unwrap().unwrap(), address("10.0.0.7"), "a failure is no reason to forget");

    // From here on the clock goes on by itself: nobody answers.
    tokio::time::pause();
    let began = Instant::now();
    assert_eq!(names.ask("db").await.unwrap().unwrap(), address("10.0.0.7"));
    assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs() / 2, "half of the time is left for using them");

    tokio::time::advance(REMEMBERED).await;
    let failure = names.ask("db").await.unwrap().unwrap_err();
    assert_eq!(failure, Failure::silent("db was not resolved within 60 s"));

    tokio::time::resume();
    let newer = names.ask("db");
    tokio::task::yield_now().await;
    names.answers.send(Ok(address("10.0.0.8"))).unwrap();
    assert_eq!(
        newer.await.unwrap().unwrap(),
        address("10.0.0.8"),
        "the late answer of the look-up that hung"
    );
}

/// As many as there are threads hang: other names wait, addresses do not, and each name has one thread at most.
#[tokio::test]
async fn names_that_hang_hold_up_names_only() {
    let names = Names::new();
    let hanging = ["a", "b", "c", "d"];
    assert_eq!(hanging.len(), THREADS);
    let asked: Vec<_> = hanging.iter().chain(&hanging).map(|name| names.ask(name)).collect();
    let mut seen = Vec::new();
    for _ in hanging {
        seen.push(names.asked().await);
    }
    seen.sort();
    assert_eq!(seen, hanging);

    let fifth = names.ask("e");
    tokio::task::yield_now().await;
    {
        let state = names.resolver.0.lock();
        assert_eq!(state.threads, THREADS, "no further one is started");
        assert_eq!(state.queue, ["e"]);
    }
    let literal = names.resolver.resolve("127.0.0.1", Deadline::after(Duration::ZERO)).await;
    assert!(literal.is_ok());

    for _ in 0..=THREADS {
        names.answers.send(Ok(address("10.0.0.7"))).unwrap();
    }
    for asked in asked {
        assert!(asked.await.unwrap().is_ok());
    }
    assert!(fifth.await.unwrap().is_ok());
    testkit::eventually("the threads end", || (names.resolver.0.lock().threads == 0).then_some(()));
}

#[tokio::test]
async fn the_number_of_names_is_bounded() {
    let resolver = Resolver::with(Box::new(|_| Ok(address("10.0.0.7"))));
    for n in 0..NAMES + 10 {
        resolver.resolve(&format!("n{n}"), Deadline::after(PATIENCE)).await.unwrap();
        assert!(resolver.0.lock().names.len() <= NAMES);
    }
    let pending = || Some(Pending { asked: Instant::now(), found: watch::Sender::new(None) });
    let hang = |n| (format!("p{n}"), Name { known: None, pending: pending() });
    resolver.0.lock().names = (0..NAMES).map(hang).collect();
    let failure = resolver.resolve("last", Deadline::after(PATIENCE)).await.unwrap_err();
    assert_eq!(failure.message, "last can't be resolved: 1024 other names are being looked up");
}

/// The real one, with a label that is too long for DNS (RFC 1035, 2.3.4), so that no server is asked.
#[tokio::test]
async fn the_system_is_asked() {
    let resolver = Resolver::system();
    let host = "x".repeat(64);
    let failure = resolver.resolve(&host, Deadline::after(PATIENCE)).await.unwrap_err();
    let why = failure.message.strip_prefix(&format!("{host} can't be resolved: ")).expect(&failure.message);
    assert!(!why.is_empty() && !why.contains("failed to lookup"), "{failure:?}");
}
