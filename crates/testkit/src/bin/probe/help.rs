//! The list of steps, for whoever writes one that does not exist.

/// Printed for `probe help` and for anything unknown.
pub(crate) const HELP: &str = "\
usage: probe STEP...
  to=stdout|stderr    stream for the steps that follow (stdout)
  width=BYTES         length of numbered lines without the newline (11)
  every=TIME          pause after each numbered line, or write of account (0); TIME is a number of seconds, or 10ms
  print[=N]           N numbered lines, as fast as the reader takes them; without N for ever
  same=N              N equal lines of the width, with next to no work of its own
  account=N:DIR       N lines `NAME RUN 0000001 xxx` of the width to standard output, from PROCESS_NAME and PROCESS_RUN; the
                      file DIR/NAME.RUN has the pid, and from byte 16 on how many bytes write(2) took so far
  text=TEXT           a line
  partial=TEXT        a line without its newline
  long=BYTES          one line of that length
  garbage=BYTES       bytes of every value, always the same
  nul                 a line with a NUL byte in it
  utf8                a line that is not UTF-8
  close               closes the stream and goes on
  cat                 standard input to the stream, until its end
  env=NAME            prints NAME=value
  isatty              prints `stdin other`, `stdout tty`, `stderr other`
  env cwd ids fds signals umask args
                      prints the process's own ...
  ignore=SIG          the signal has no effect, from the program's start
  wait=SIG            waits for the signal, held back from the program's start
  echo                prints `got SIG...` for each signal until TERM, held back from the program's start
  on-hup=PATH         from now on each HUP adds `SIGHUP PID` to the file
  notify=TEXT         a datagram to $NOTIFY_SOCKET; \\n in it ends a line, %p is the own pid
  notify-from-child=TEXT
                      the same, sent by a child that ends then
  watchdog=TIME:N     WATCHDOG=1 at once and after each TIME, N times, and no more
  wait-file=PATH      waits until it exists
  touch=PATH          makes it
  pidfile=PATH        writes the own pid
  serve-http=PORT:STATUS|/PATH|hang
                      answers in the background: with STATUS, with the status in that file, or never; prints `port N`
  serve-tcp=PORT      accepts and closes in the background; prints `port N`; PORT 0 is one that is free
  sleep[=TIME]        without TIME for ever
  session             setsid(2)
  child[=STEPS]       a child that does STEPS, separated by commas (sleep); prints its pid
  orphan[=STEPS]      the same, double-forked into a session of its own
  hold[=TIME]         an orphan that only keeps the outputs open; prints its pid
  daemonize[=PIDFILE] double-forks: the daemon does the other steps, and its pid is in the file when the first process
                      exits with 0; for a pidfile that comes late, use the step pidfile= after it
  detach[=PIDFILE]    the same with one fork and without a session
  storm=N             keeps N short-lived children running, for ever
  chain=TIME          lives that long, then starts a successor that does the same, and exits; ends after 5 minutes
  hydra=N:TIME        N orphaned chains of that TIME that ignore TERM; goes on
  crash=SIG           sends the signal to itself
  exit-file=PATH      ends here, with the code in that file
  exit=CODE           ends here; the end of the steps is exit=0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Step;

    #[test]
    fn every_step_is_in_the_help() {
        for word in
            "to width every print same account text partial long garbage nul utf8 close cat env isatty ignore wait echo on-hup \
             notify notify-from-child watchdog wait-file touch pidfile serve-http serve-tcp sleep session child \
             orphan hold daemonize detach storm chain hydra crash exit-file exit"
                .split_whitespace()
        {
            assert!(HELP.lines().any(|l| l.trim_start().starts_with(word)), "{word}");
            let unknown = |error: &String| error.starts_with("no step is called");
            assert!(!word.parse::<Step>().as_ref().is_err_and(unknown), "{word}");
        }
    }
}
