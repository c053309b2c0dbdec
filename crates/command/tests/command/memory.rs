//! The command under valgrind(1). The one of Debian 12 does not know pidfd_open(2), so what comes
//! behind it is not reached there.

use crate::support::{self, bare, finish};
use crate::{c_target, keepalive, keepalive_run};

#[test]
#[ignore = "needs valgrind"]
fn no_memory_error_and_no_leak() {
    let target = c_target();
    let pid = target.pid();
    let mut run = keepalive_run("");
    run.arg("true");
    let mut commands = vec![run];
    for arguments in
        ["show".into(), format!("show {pid} --json"), format!("attach --dry-run {pid}")]
    {
        commands.push(keepalive(&arguments));
    }
    for command in commands {
        // A log for each process: the work is done in a child.
        let logs = support::scratch("valgrind");
        std::fs::create_dir(&logs).expect("a directory");
        let mut valgrind = bare("valgrind");
        valgrind.args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect"]);
        valgrind.arg(format!("--log-file={}/%p", logs.display()));
        valgrind.arg(command.get_program()).args(command.get_args());
        finish(&mut valgrind);
        let mut count = 0;
        for log in std::fs::read_dir(&logs).expect("logs") {
            let log = std::fs::read_to_string(log.expect("a log").path()).expect("text");
            // `==PID== `; its own warnings are `--PID-- `.
            assert!(!log.lines().any(|line| line.starts_with("==")), "{command:?}: {log}");
            count += 1;
        }
        assert!(count > 0, "{command:?} under {valgrind:?}");
    }
}
