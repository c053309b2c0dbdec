//! examples/monitoring, with the real Prometheus, node_exporter and systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::metrics::sample;
use crate::support::namespace::Namespace;
use crate::support::running::{Running, wait_until};
use crate::support::{self, run, stdout};
use crate::units::container::{Container, SHARED};
use crate::{PublicDirectory, Target, c_target, keepalive};

const PATIENCE: Duration = Duration::from_secs(30);

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/monitoring").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(example(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every metric that the rules and the dashboard name is one that is printed.
#[test]
fn rules_and_dashboard_name_metrics_that_there_are() {
    let target = c_target();
    let metrics = stdout(&mut keepalive(&format!("show --openmetrics {}", target.pid())));
    let texts = [read("alerts.yml"), read("dashboard.json")];
    let words =
        texts.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let names: Vec<_> = words.filter(|word| word.starts_with("keepalive_")).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let is_printed =
            |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        assert!(metrics.lines().any(is_printed), "{name}");
    }
}

/// What the panels ask.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets.map(|target| target["expr"].as_str().expect("an expression").to_owned()).collect()
}

#[test]
#[ignore = "needs promtool (Debian: prometheus)"]
fn promtool_accepts_metrics_rules_and_dashboard() {
    let promtool = |arguments: &str| {
        let mut command = support::bare("promtool");
        command.args(arguments.split(' '));
        command
    };
    run(promtool("check rules").arg(example("alerts.yml")));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/alerts_test.yml");
    run(promtool("test rules").arg(tests));

    // Each panel is in order, and what it asks is PromQL once Grafana has filled in its variables.
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("JSON");
    let rules: String = expressions(&dashboard)
        .iter()
        .enumerate()
        .map(|(number, expression)| {
            let expression = expression.replace("$__rate_interval", "1m");
            let expression = serde_json::to_string(&expression).expect("text");
            format!("      - record: panel_{number}\n        expr: {expression}\n")
        })
        .collect();
    let file = support::scratch("panels.yml");
    fs::write(&file, format!("groups:\n  - name: panels\n    rules:\n{rules}")).expect("written");
    run(promtool("check rules").arg(&file));

    let target = c_target();
    let metrics = support::scratch("metrics");
    fs::write(&metrics, stdout(&mut keepalive(&format!("show --openmetrics {}", target.pid()))))
        .expect("written");
    let mut check = support::bare("promtool");
    check.args(["check", "metrics"]).stdin(fs::File::open(&metrics).expect("the metrics"));
    let (_, remarks) = support::texts(&support::finish(&mut check));
    // It knows the older format only, in which a counter's help has its whole name.
    let is_known = |remark: &&str| remark.ends_with("_total no help text");
    assert_eq!(remarks.lines().filter(|remark| !is_known(remark)).count(), 0, "{remarks}");
    assert_eq!(remarks.lines().count(), 3, "{remarks}");
}

/// The programs of a monitored host and of a Prometheus, in a network of their own.
struct Bed {
    network: Namespace,
    directory: PathBuf,
    _programs: Vec<Running>,
}

impl Bed {
    fn new() -> Self {
        let network = Namespace::new("monitoring");
        let directory = support::scratch("monitoring");
        fs::create_dir(&directory).expect("a directory");
        let rules = directory.join("alerts.yml");
        fs::write(&rules, read("alerts.yml")).expect("written");
        let config = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}\n\
             rule_files: [{}]\n\
             scrape_configs:\n\
             - {{job_name: node, static_configs: [{{targets: ['127.0.0.1:9100']}}]}}\n\
             - {{job_name: direct, metrics_path: /keepalive.prom, \
                  static_configs: [{{targets: ['127.0.0.1:8000']}}]}}\n",
            rules.display()
        );
        let prometheus = directory.join("prometheus.yml");
        fs::write(&prometheus, config).expect("written");
        // A web server that says what it sends.
        let server = "import http.server as h\n\
                      h.SimpleHTTPRequestHandler.extensions_map['.prom'] = \
                      'application/openmetrics-text; version=1.0.0; charset=utf-8'\n\
                      h.test(h.SimpleHTTPRequestHandler, h.ThreadingHTTPServer, port=8000, \
                      bind='127.0.0.1')";
        let start = |program: &str, arguments: &[String]| {
            let mut command = network.command(program, None);
            Running::start(command.args(arguments).current_dir(&directory))
        };
        let path = |option: &str, path: &Path| format!("{option}={}", path.display());
        let programs = vec![
            start(
                "prometheus-node-exporter",
                &[
                    "--collector.disable-defaults".into(),
                    "--collector.textfile".into(),
                    path("--collector.textfile.directory", &directory),
                    "--web.listen-address=127.0.0.1:9100".into(),
                ],
            ),
            start("python3", &["-c".into(), server.into()]),
            start(
                "prometheus",
                &[
                    path("--config.file", &prometheus),
                    path("--storage.tsdb.path", &directory.join("data")),
                    "--web.listen-address=127.0.0.1:9090".into(),
                ],
            ),
        ];
        Self { network, directory, _programs: programs }
    }

    /// Runs what the service runs, there.
    fn write_metrics(&self) {
        let service = read("keepalive-metrics.service");
        let line = service.lines().find_map(|line| line.strip_prefix("ExecStart=/bin/sh -c '"));
        let script = line.and_then(|line| line.strip_suffix('\'')).expect("a line of shell");
        let command = Path::new(env!("CARGO_BIN_EXE_keepalive")).parent().expect("a directory");
        let path = format!("{}:{}", command.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = self.network.command("sh", None);
        shell.args(["-c", script]).current_dir(&self.directory).env("PATH", path);
        run(&mut shell);
    }

    /// What Prometheus answers, a line for each series.
    fn ask(&self, expression: &str) -> String {
        let mut promtool = self.network.command("promtool", None);
        promtool.args(["query", "instant", "http://127.0.0.1:9090", expression]);
        let (answer, _) = support::texts(&support::finish(&mut promtool));
        answer
    }

    /// Writes the metrics again and again until an answer is as wanted.
    #[track_caller]
    fn wait_for(&self, expression: &str, is_wanted: impl Fn(&str) -> bool) -> String {
        let mut answer = String::new();
        let came = wait_until(PATIENCE, || {
            self.write_metrics();
            answer = self.ask(expression);
            is_wanted(&answer)
        });
        assert!(came, "{expression}: {answer}");
        answer
    }

    /// What a web server there sends.
    fn get(&self, address: &str) -> String {
        let mut curl = self.network.command("curl", None);
        stdout(curl.args(["--silent", "--show-error", "--fail", "--globoff", address]))
    }

    /// nft(8) in the network.
    fn nft(&self, command: &str) {
        run(self.network.command("nft", None).arg(command));
    }
}

/// `KEEPALIVE_TEST_TRANSCRIPT` names a file that gets what was asked and answered.
#[test]
#[ignore = "needs root, prometheus, prometheus-node-exporter, curl and nft (Debian: nftables)"]
fn a_dead_peer_raises_the_alert_and_it_clears() {
    let bed = Bed::new();
    let begin = Instant::now();
    let mut transcript = String::new();
    let mut note = |what: &str, expression: &str, answer: &str| {
        let answer = if answer.is_empty() { "(nothing)\n" } else { answer };
        transcript += &format!(
            "# {:.0} s: {what}\n$ promtool query instant http://127.0.0.1:9090 '{expression}'\n{answer}\n",
            begin.elapsed().as_secs_f64()
        );
    };
    // A name of its own: other tests' programs are seen, too.
    let program = bed.directory.join("broker");
    support::copy_program(support::host("target"), &program);
    let mut program = bed.network.command(&program.to_string_lossy(), None);
    let target = Target::start(&mut program);
    let network = bed.network.command(env!("CARGO_BIN_EXE_keepalive"), None);
    let attach = |count: &str| {
        let mut command = Command::new(network.get_program());
        command.args(network.get_args());
        command.args(["attach", "--force", "--idle", "1", "--interval", "1", "--count", count]);
        run(command.arg(target.pid().to_string()));
    };
    // However busy this machine is, it is not given up before the alert was seen.
    attach("100");

    // Both ways of scraping see the same.
    let on = r#"keepalive_connections{process="broker",keepalive="on"}"#;
    let answer = bed.wait_for(on, |answer| answer.matches(" => 2 ").count() == 2);
    assert!(answer.contains(r#"job="node""#) && answer.contains(r#"job="direct""#), "{answer}");
    note("two connections with keepalive, seen by node_exporter and directly", on, &answer);
    let firing = r#"ALERTS{alertstate="firing",process="broker"}"#;
    let answer = bed.ask(firing);
    assert_eq!(answer.trim(), "");
    // node_exporter reads an older format: all is there, but for what the counters are.
    let exported = bed.get("http://127.0.0.1:9100/metrics");
    for line in [
        "# TYPE keepalive_connections gauge",
        "# TYPE keepalive_silence_seconds histogram",
        "# TYPE keepalive_aborts_total untyped",
        "node_textfile_scrape_error 0",
    ] {
        assert!(exported.lines().any(|it| it == line), "{line}: {exported}");
    }
    // Directly, types and units come through.
    for (metric, wanted) in [
        ("keepalive_silence_seconds", r#""type":"histogram""#),
        ("keepalive_silence_seconds", r#""unit":"seconds""#),
        ("keepalive_aborts", r#""type":"counter""#),
    ] {
        let known = bed.get(&format!(
            "http://127.0.0.1:9090/api/v1/targets/metadata?match_target={{job=%22direct%22}}\
             &metric={metric}"
        ));
        assert!(known.contains(wanted), "{metric}: {known}");
    }
    note("no alert", firing, &answer);

    // The peer loses power: nothing of this connection passes any more.
    bed.nft(&format!(
        "add table inet dead; add chain inet dead output {{ type filter hook output priority 0; }}; \
         add rule inet dead output tcp sport {0} drop; add rule inet dead output tcp dport {0} drop",
        target.port
    ));
    let answer = bed.wait_for(firing, |answer| answer.contains(r#"job="node""#));
    assert!(answer.contains(r#"alertname="TcpPeerDoesNotAnswer""#), "{answer}");
    note("the peer is dead, and two probes were not answered", firing, &answer);

    // The kernel gives it up at the next probe.
    attach("2");
    let answer = bed.wait_for(firing, |answer| answer.trim().is_empty());
    note("with --count 2 the kernel has given it up", firing, &answer);
    let aborts = "keepalive_aborts_total";
    let answer = bed.wait_for(aborts, |answer| answer.matches(" => 2 ").count() == 2);
    note("what the kernel counted", aborts, &answer);
    if let Some(path) = std::env::var_os("KEEPALIVE_TEST_TRANSCRIPT") {
        fs::write(path, transcript).expect("written");
    }
}

/// A service that is not root's, and one with a network of its own: the hardened service sees both.
#[test]
#[ignore = "needs root, and systemd-nspawn (Debian: systemd-container)"]
fn the_hardened_service_sees_everything_and_the_timer_starts_it() {
    const COLLECTED: &str = "/var/lib/prometheus/node-exporter";

    let shared = PublicDirectory::new("metrics");
    shared.copy(env!("CARGO_BIN_EXE_keepalive"));
    shared.copy(support::host("target"));
    let units = support::scratch("units");
    let write = |name: &str, text: &str| {
        let path = units.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, text).expect("written");
    };
    for name in ["keepalive-metrics.service", "keepalive-metrics.timer"] {
        write(name, &read(name));
    }
    write(
        "keepalive-metrics.service.d/test.conf",
        &format!("[Service]\nEnvironment=PATH={}:/usr/bin:/bin\n", SHARED),
    );
    let service = |shell: &str, settings: &str| {
        format!(
            "[Service]\nExecStartPre=+/bin/mkdir -p {COLLECTED}\n\
             ExecStart={shell} 'ip link set lo up; sleep 99 | {}/target'\n{settings}",
            SHARED
        )
    };
    write("ordinary.service", &service("/bin/sh -c", "User=nobody\n"));
    write("apart.service", &service("/usr/bin/unshare --net /bin/sh -c", ""));
    write(
        "test.target",
        "[Unit]\nWants=ordinary.service apart.service keepalive-metrics.timer\n\
         After=ordinary.service apart.service\n",
    );
    // The timer starts it again and again until all is there.
    write("keepalive-metrics.timer.d/test.conf", "[Timer]\nOnUnitInactiveSec=1\n");

    let container = Container::boot("test.target", &units, &shared.0);
    let sees = |metrics: &str, unit: &str| {
        let wanted =
            format!(r#"keepalive_connections{{process="target",unit="{unit}",keepalive="off"}} 2"#);
        metrics.lines().any(|line| line == wanted)
    };
    let mut metrics = String::new();
    let all_seen = wait_until(PATIENCE, || {
        let roots = container.pids().into_iter().map(|pid| format!("/proc/{pid}/root"));
        let files = roots.map(|root| format!("{root}{COLLECTED}/keepalive.prom"));
        metrics = files.filter_map(|file| fs::read_to_string(file).ok()).next().unwrap_or_default();
        sees(&metrics, "ordinary.service") && sees(&metrics, "apart.service")
    });
    assert!(all_seen, "{metrics}\n{}", container.said());
    assert_eq!(sample(&metrics, "keepalive_processes_not_inspected"), 0.0, "{metrics}");
    assert!(!metrics.contains(r#"keepalive="unknown""#), "{metrics}");
}
