//! Completion in the real shells: what is typed becomes, and what is offered.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::adapter::strip_str;
use expectrl::session::OsSession;
use expectrl::{Expect, Regex};

use crate::groups::{Group, root, unique};
use crate::manuals::generated;
use crate::support::{self, stdout};
use crate::terminal::on_terminal;
use crate::{Target, keepalive};

/// An interactive shell with the completions.
enum Shell {
    /// bash or zsh, on a terminal, where Ctrl-X L lists what could come and Ctrl-X P prints the
    /// line as it is.
    Terminal(OsSession),
    /// fish(1) tells by itself what it would offer.
    Fish { setup: String, path: String },
}

const TAB: &str = "\t";
/// Ctrl-X L.
const LIST: &str = "\x18l";

/// What a shell makes of a line.
#[derive(Debug)]
struct Completed {
    /// The line; empty in fish, which does not say.
    line: String,
    offered: String,
}

impl Shell {
    /// bash with the package bash-completion, or without.
    fn bash(generated: &Path, path: &str, own: &str, package: &str) -> Self {
        let setup = format!(
            "{package} source {}/keepalive.bash; \
             bind 'set completion-query-items 0'; bind 'set page-completions off'; \
             bind '\"\\C-xl\": possible-completions'; \
             bind -x '\"\\C-xp\": printf \"\\nline <%s>\\n\" \"$READLINE_LINE\"'; \
             complete -W own-word {own}",
            generated.display()
        );
        Self::on_terminal(&["bash", "--norc", "--noprofile", "-i"], path, &setup)
    }

    fn zsh(generated: &Path, path: &str, own: &str) -> Self {
        let setup = format!(
            "fpath=({} $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=10000; \
             unsetopt automenu; bindkey '^Xl' list-choices; \
             show-line() {{ print -r -- $'\\n'\"line <$BUFFER>\" }}; zle -N show-line; \
             bindkey '^Xp' show-line; _own() {{ compadd own-word }}; compdef _own {own}",
            generated.display()
        );
        Self::on_terminal(&["zsh", "-f", "-i"], path, &setup)
    }

    fn fish(generated: &Path, path: &str, own: &str) -> Self {
        let setup = format!(
            "source {}/keepalive.fish; complete -c {own} -f -a own-word",
            generated.display()
        );
        Self::Fish { setup, path: path.into() }
    }

    fn on_terminal(program: &[&str], path: &str, setup: &str) -> Self {
        let mut command = support::bare("env");
        command.args(program).env("PATH", path).env("PS1", "ready> ").env("TERM", "vt100");
        let mut session = on_terminal(command);
        session.send_line("stty cols 250").expect("sent");
        session.send_line(setup).expect("sent");
        session.send_line("echo set''up").expect("sent");
        session.expect("setup").expect("it is set up");
        session.expect("ready> ").expect("a prompt");
        Self::Terminal(session)
    }

    /// What it makes of a line when this key is pressed.
    fn complete(&mut self, line: &str, key: &str) -> Completed {
        match self {
            Self::Fish { setup, path } => {
                let script = format!("{setup}; complete -C '{line}'");
                let mut fish = support::bare("fish");
                fish.args(["--no-config", "-c", &script]).env("PATH", path);
                Completed { line: String::new(), offered: stdout(&mut fish) }
            }
            Self::Terminal(session) => {
                session.send(format!("{line}{key}\x18p")).expect("sent");
                let seen = session.expect(Regex("line <([^\r\n]*)>")).expect("the line");
                let text = |bytes| strip_str(&String::from_utf8_lossy(bytes)).to_string();
                let offered = text(seen.before());
                let line = text(&seen[1]);
                // Erases it.
                session.send("\x15").expect("sent");
                Completed { line, offered }
            }
        }
    }

    /// A line becomes another.
    #[track_caller]
    fn becomes(&mut self, line: &str, wanted: &str) {
        let completed = self.complete(line, TAB);
        if matches!(self, Self::Fish { .. }) {
            // It offers words.
            let word = wanted.trim_end().rsplit(' ').next().expect("a word");
            let offered = |it: &str| it.split('\t').next() == Some(word);
            assert!(completed.offered.lines().any(offered), "{line:?}: {completed:?}");
        } else {
            assert_eq!(completed.line.trim_end(), wanted.trim_end(), "{line:?}: {completed:?}");
        }
    }

    /// Everything is offered for a line.
    #[track_caller]
    fn offers(&mut self, line: &str, wanted: &[&str]) {
        let completed = self.complete(line, LIST);
        for wanted in wanted {
            assert!(completed.offered.contains(wanted), "{line:?}: {wanted:?}: {completed:?}");
        }
    }

    /// A line stays as it is, and nothing is offered.
    #[track_caller]
    fn leaves(&mut self, line: &str) {
        let completed = self.complete(line, TAB);
        if matches!(self, Self::Fish { .. }) {
            assert_eq!(completed.offered, "", "{line:?}");
        } else {
            assert_eq!(completed.line, line, "{completed:?}");
        }
    }
}

/// What there is to complete.
struct Bed {
    generated: PathBuf,
    path: String,
    /// A program of which the shell knows something by itself.
    own: String,
    /// A process.
    name: String,
    target: Target,
    unit: String,
    _group: Group,
    /// A process whose name a shell would obey.
    _hostile: Target,
    hostile_start: String,
}

impl Bed {
    fn new(shell: &str) -> Self {
        let directory = support::scratch("programs");
        std::fs::create_dir(&directory).expect("a directory");
        let start = |name: &str| {
            let copy = directory.join(name);
            support::copy_program(support::host("target"), &copy);
            Target::start(&mut Command::new(copy))
        };
        let number = std::process::id() % 100_000;
        // The kernel keeps 15 bytes of a name.
        let name = format!("{shell}{number}-brk");
        let target = start(&name);
        let hostile_start = format!("h{shell}{number}");
        let hostile = start(&format!("{hostile_start};id"));
        let own = format!("own-{shell}-{number}");
        let program = directory.join(&own);
        std::fs::write(&program, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("its mode");

        let unit = unique(&format!("{shell}.service"));
        let group = Group::new(&root(), &unit);
        group.take(target.pid());
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", directory.display());
        let generated = generated();
        Self {
            generated,
            path,
            own,
            name,
            target,
            unit,
            _group: group,
            _hostile: hostile,
            hostile_start,
        }
    }

    /// What holds in each shell.
    fn try_out(&self, shell: &mut Shell) {
        let Self { own, name, unit, .. } = self;
        let pid = self.target.pid().to_string();
        shell.becomes("keepalive sho", "keepalive show");
        shell.offers("keepalive ", &["run", "show", "attach"]);
        shell.becomes("keepalive show --openm", "keepalive show --openmetrics");
        shell.offers("keepalive attach --", &["--dead-after", "--dry-run", "--remote"]);

        // Processes, units.
        let half = &name[..name.len() - 2];
        shell.becomes(&format!("keepalive show {half}"), &format!("keepalive show {name}"));
        shell.becomes(
            &format!("keepalive attach --idle 60 {half}"),
            &format!("keepalive attach --idle 60 {name}"),
        );
        let half = &unit[..unit.len() - 4];
        shell.becomes(&format!("keepalive show {half}"), &format!("keepalive show {unit}"));
        shell.offers("keepalive show ", &[name, unit, &pid, &format!("/{name}")]);
        shell.becomes(&format!("keepalive show {pid}"), &format!("keepalive show {pid}"));

        // Times.
        shell.offers("keepalive run --dead-after ", &["30s", "2m", "15m"]);
        shell.becomes("keepalive run --idle 6", "keepalive run --idle 60s");
        shell.becomes("keepalive run --idle=6", "keepalive run --idle=60s");

        // Programs, and after them what the shell itself knows.
        let half = &own[..own.len() - 2];
        for options in ["", "--idle 60 ", "--idle=60 -v ", "--idle=60 --library /lib/x ", "-v -- "]
        {
            let run = format!("keepalive run {options}");
            shell.becomes(&format!("{run}{half}"), &format!("{run}{own}"));
            shell.becomes(&format!("{run}{own} ow"), &format!("{run}{own} own-word"));
            shell.leaves(&format!("{run}{own} --dead"));
        }
        shell.becomes("keepalive help atta", "keepalive help attach");
    }
}

#[test]
#[ignore = "needs root (makes a cgroup), and bash-completion (Debian)"]
fn bash_completes() {
    let bed = Bed::new("bash");
    let start = |package| Shell::bash(&bed.generated, &bed.path, &bed.own, package);
    let mut shell = start("source /usr/share/bash-completion/bash_completion;");
    bed.try_out(&mut shell);
    // Another user chose this name; bash would put it in as it is.
    shell.leaves(&format!("keepalive show {}", bed.hostile_start));
    // The command line stands beside the number, and is not put in.
    shell.offers("keepalive show ", &[&format!("{}  /", bed.target.pid())]);

    // Without the package the rest works.
    let mut shell = start("");
    let half = &bed.name[..bed.name.len() - 2];
    shell.becomes(&format!("keepalive show {half}"), &format!("keepalive show {}", bed.name));
}

#[test]
#[ignore = "needs root (makes a cgroup), and zsh (Debian)"]
fn zsh_completes() {
    let bed = Bed::new("zsh");
    let mut shell = Shell::zsh(&bed.generated, &bed.path, &bed.own);
    bed.try_out(&mut shell);
    let line = format!("keepalive show {}", bed.hostile_start);
    shell.becomes(&line, &format!("{line}\\;id"));
}

#[test]
#[ignore = "needs root (makes a cgroup), and fish (Debian)"]
fn fish_completes() {
    let bed = Bed::new("fish");
    let mut shell = Shell::fish(&bed.generated, &bed.path, &bed.own);
    bed.try_out(&mut shell);
    let line = format!("keepalive show {}", bed.hostile_start);
    // fish escapes what it puts in.
    shell.becomes(&line, &format!("{line};id"));
    shell.offers("keepalive show ", &[&format!("{}\t/", bed.target.pid())]);
}

/// What is offered for an option is a value that it takes.
#[test]
fn the_times_that_are_offered_are_taken() {
    let script = std::fs::read_to_string(generated().join("keepalive.bash")).expect("the script");
    let mut tried = 0;
    for line in script.lines() {
        let Some((option, words)) = line.trim().split_once(") echo 'words ") else { continue };
        let (verb, option) = option.split_once(',').expect("a verb and an option");
        let words = words.split_once('\'').expect("a quote").0;
        for word in words.split(' ') {
            // Every value is looked at before the help is printed.
            stdout(&mut keepalive(&format!("{verb} {option}={word} --help")));
            tried += 1;
        }
    }
    assert!(tried > 20, "{script}");
    let wrong = keepalive("attach --idle=wrong --help").output().expect("it runs");
    assert_eq!(wrong.status.code(), Some(2));
}

/// The scripts have every option of `--help`.
#[test]
fn every_option_is_completed() {
    let directory = generated();
    for verb in ["run", "show", "attach"] {
        let help = stdout(&mut keepalive(&format!("{verb} --help")));
        let (help, _) = help.split_once("\nExit status:").expect("the options end there");
        let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        let words = lines.filter_map(|line| line.split_once("--").map(|(_, rest)| rest));
        let options: Vec<_> =
            words.map(|word| word.split([' ', '=', '[']).next().expect("a word")).collect();
        assert!(options.len() > 2, "{help}");
        for (file, start) in
            [("keepalive.bash", "--"), ("_keepalive", "--"), ("keepalive.fish", "-l ")]
        {
            let script = std::fs::read_to_string(directory.join(file)).expect("the script");
            for option in &options {
                assert!(script.contains(&format!("{start}{option}")), "{file}: {option}");
            }
        }
    }
}
