#![allow(warnings)]
#[path = "it/support.rs"]
mod support;
#[test]
fn scratch() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let daemon = support::Daemon::start().await;
        let mut t = vec![];
        for i in 0..std::env::var("N").unwrap().parse::<u32>().unwrap() { t.push(std::sync::Arc::new(support::view(&format!("p{i:05}"), &format!("{i:012x}")))); }
        *daemon.fake.table.lock().unwrap() = t;
        std::fs::write("/tmp/zz_sock", format!("{}\n{}", daemon.socket.display(), daemon.port())).unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(std::env::var("S").unwrap().parse().unwrap())).await;
    });
}
