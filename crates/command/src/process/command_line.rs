//! What a process was started as: its program, and where that runs another one, the script, the
//! module, the jar or the class.

use serde::{Deserialize, Serialize};

/// The arguments of a process, the program's name first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine(Vec<String>);

/// A program that runs what its arguments name.
struct Interpreter {
    /// The start of its name; a version may follow (`python3.11`).
    names: &'static [&'static str],
    /// Options with which there is no script: the program is in the arguments, or on stdin.
    none: &'static [&'static str],
    /// Options whose value is an argument of its own.
    with_value: &'static [&'static str],
}

const JAVA: Interpreter = Interpreter {
    names: &["java"],
    none: &["-version", "--version"],
    with_value: &[
        "-cp",
        "-classpath",
        "--class-path",
        "-p",
        "--module-path",
        "--upgrade-module-path",
        "--add-modules",
        "--add-exports",
        "--add-opens",
        "--add-reads",
        "--patch-module",
        "--limit-modules",
        "--enable-native-access",
        "--source",
    ],
};

/// From their manual pages.
const INTERPRETERS: [Interpreter; 8] = [
    JAVA,
    Interpreter {
        names: &["python", "pypy"],
        none: &["-c"],
        with_value: &["-W", "-X", "--check-hash-based-pycs"],
    },
    Interpreter { names: &["perl"], none: &["-e", "-E"], with_value: &["-I"] },
    Interpreter { names: &["ruby"], none: &["-e"], with_value: &["-I", "-r", "-C", "-E"] },
    Interpreter {
        names: &["node", "nodejs"],
        none: &["-e", "--eval", "-p", "--print"],
        with_value: &["-r", "--require", "--import", "-C", "--conditions"],
    },
    Interpreter { names: &["php", "php-cgi"], none: &["-r"], with_value: &["-d", "-c", "-z"] },
    Interpreter { names: &["lua"], none: &["-e"], with_value: &["-l"] },
    Interpreter {
        names: &["sh", "bash", "dash", "ksh", "zsh"],
        none: &["-c", "-s", "-lc", "-ec"],
        with_value: &["-o", "-O", "+o", "+O"],
    },
];

impl CommandLine {
    /// From /proc/PID/cmdline: each argument ends in a zero. (A program that writes a title of its
    /// own there leaves zeros after it.)
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let arguments = bytes[..end].split(|byte| *byte == 0);
        let arguments = arguments.map(|argument| String::from_utf8_lossy(argument).into_owned());
        Self(if end == 0 { Vec::new() } else { arguments.collect() })
    }

    /// The arguments.
    pub fn arguments(&self) -> &[String] {
        &self.0
    }

    /// The names that an operator would use, given its program's file: that, the name by which it
    /// was started, and what it runs: `broker.py`, `kafka.Kafka` and `Kafka`, `app.jar`.
    pub fn names<'a>(&'a self, program: Option<&'a str>) -> Vec<&'a str> {
        let mut names = Vec::new();
        names.extend(program.map(|path| base(path.strip_suffix(" (deleted)").unwrap_or(path))));
        // A login shell's begins with a dash.
        names.extend(self.0.first().map(|first| base(first).trim_start_matches('-')));
        if let Some(index) = self.runs(program) {
            let what = &*self.0[index];
            names.push(base(what));
            if !what.contains('/') {
                // A class within its package, also of a module: `m/a.b.C`.
                names.push(what);
                names.extend(what.rsplit_once('.').map(|(_, class)| class).filter(|_| {
                    self.is_run_by_java(program) && !what.ends_with(".jar") && !is_source(what)
                }));
            }
        }
        names.retain(|name| !name.is_empty());
        names
    }

    /// In one line. What tells it from others comes first, so Java's options are left out: `java … kafka.Kafka server.properties`.
    pub fn describe(&self, program: Option<&str>) -> String {
        let Some(first) = self.0.first() else { return String::new() };
        // A program that writes a title of its own has no name there.
        let first = if first.contains(' ') { first } else { base(first) };
        let (between, rest) = match self.runs(program) {
            Some(index) if index > 1 && self.is_run_by_java(program) => (Some("…"), index),
            _ => (None, 1),
        };
        let rest = self.0[rest..].iter().map(String::as_str);
        std::iter::once(first).chain(between).chain(rest).collect::<Vec<_>>().join(" ")
    }

    fn is_run_by_java(&self, program: Option<&str>) -> bool {
        self.interpreter(program).is_some_and(|interpreter| interpreter.names == JAVA.names)
    }

    fn interpreter(&self, program: Option<&str>) -> Option<&'static Interpreter> {
        let names = [program, self.0.first().map(String::as_str)];
        names.into_iter().flatten().find_map(|path| {
            let name = base(path).trim_start_matches('-');
            let is_name = |start: &&str| {
                let version = name.strip_prefix(start);
                version.is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit() || it == b'.'))
            };
            INTERPRETERS.iter().find(|interpreter| interpreter.names.iter().any(is_name))
        })
    }

    /// Which argument is what an interpreter runs, if it is one: the first that is neither an option
    /// nor the value of one. (What follows `-jar` or `-m` is.)
    fn runs(&self, program: Option<&str>) -> Option<usize> {
        let interpreter = self.interpreter(program)?;
        let mut index = 1;
        while let Some(argument) = self.0.get(index) {
            let is_any = |options: &[&str]| options.contains(&argument.as_str());
            if is_any(interpreter.none) {
                return None;
            } else if is_any(interpreter.with_value) {
                index += 2;
            } else if argument.len() > 1 && argument.starts_with(['-', '+', '@']) {
                index += 1;
            } else {
                return Some(index);
            }
        }
        None
    }
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether java(1) compiles it first.
fn is_source(name: &str) -> bool {
    name.ends_with(".java")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> CommandLine {
        CommandLine(text.split(' ').map(Into::into).collect())
    }

    #[test]
    fn what_an_operator_would_call_it() {
        for (arguments, program, names) in [
            ("/usr/sbin/nginx -g x", "/usr/sbin/nginx", "nginx nginx"),
            (
                "python3 /opt/broker.py --port 1",
                "/usr/bin/python3.11",
                "python3.11 python3 broker.py",
            ),
            (
                "python3 -W error -u broker.py",
                "/usr/bin/python3.11",
                "python3.11 python3 broker.py broker.py",
            ),
            (
                "python -m http.server 80",
                "/usr/bin/python3",
                "python3 python http.server http.server",
            ),
            ("python3 -c x y", "/usr/bin/python3", "python3 python3"),
            ("perl -I lib broker", "/usr/bin/perl", "perl perl broker broker"),
            ("node --require ./x /app/server.js", "/usr/bin/node", "node node server.js"),
            ("-bash", "/bin/bash", "bash bash"),
            ("bash -c sleep", "/bin/bash", "bash bash"),
            ("sh -e run.sh", "/bin/dash (deleted)", "dash sh run.sh run.sh"),
            (
                "java -Xmx1g -cp a:b kafka.Kafka x",
                "/jvm/bin/java",
                "java java kafka.Kafka kafka.Kafka Kafka",
            ),
            ("java -jar /opt/app.jar x", "/jvm/bin/java", "java java app.jar"),
            ("java --add-opens a=b -jar app.jar", "/jvm/bin/java", "java java app.jar app.jar"),
            ("java -m base/a.b.Main", "/jvm/bin/java", "java java a.b.Main"),
            ("java /tmp/Target.java nio", "/jvm/bin/java", "java java Target.java"),
            ("java @arguments Main", "/jvm/bin/java", "java java Main Main"),
            ("vim broker.py", "/usr/bin/vim", "vim vim"),
            ("pythonic x.py", "/usr/bin/pythonic", "pythonic pythonic"),
        ] {
            assert_eq!(line(arguments).names(Some(program)).join(" "), names, "{arguments}");
        }
        // Another user's program is hidden.
        assert_eq!(line("/usr/bin/python3 a.py").names(None), ["python3", "a.py", "a.py"]);
        assert_eq!(CommandLine::default().names(None), [""; 0]);
    }

    #[test]
    fn a_line_has_what_tells_one_jvm_from_another() {
        let java = line("/usr/bin/java -Xmx1g -cp a:b:c kafka.Kafka server.properties");
        assert_eq!(java.describe(Some("/usr/bin/java")), "java … kafka.Kafka server.properties");
        assert_eq!(line("java Main x").describe(None), "java Main x");
        assert_eq!(line("/usr/bin/python3 -u /a.py").describe(None), "python3 -u /a.py");
        let title = CommandLine::parse(b"nginx: master process /usr/sbin/nginx\0");
        assert_eq!(title.describe(None), "nginx: master process /usr/sbin/nginx");
        assert_eq!(
            CommandLine::parse(b"nginx: worker process\0\0\0").arguments(),
            ["nginx: worker process"]
        );
        assert_eq!(CommandLine::parse(b"a\0\0b\0").arguments(), ["a", "", "b"]);
        assert_eq!(CommandLine::parse(b"\0\0"), CommandLine::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_line_is_too_strange(
            arguments in prop::collection::vec(
                prop_oneof![
                    Just("java".into()), Just("python3".into()), Just("-jar".into()), Just("-cp".into()),
                    Just("-m".into()), any::<String>(), r"[-+@/.a-z]{0,9}",
                ],
                0..6,
            ),
        ) {
            let line = CommandLine::parse(arguments.join("\0").as_bytes());
            for program in [None, Some("/usr/bin/java"), arguments.first().map(String::as_str)] {
                for name in line.names(program) {
                    prop_assert!(arguments.iter().any(|it| it.contains(name)) || program.is_some());
                }
                line.describe(program);
            }
        }
    }
}
