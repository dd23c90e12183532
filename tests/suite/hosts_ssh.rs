//! Hosts by ssh: each is a network namespace with an sshd of its own. Needs root, `ip` and sshd, and is skipped without.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::faults::scripted;
use crate::world::{World, sweep, wait_until};

const SSHD: &str = "/usr/sbin/sshd";

/// Hosts `h1`, `h2`, … of a test, also called `gpu1`, `gpu2`, …, by a number that tells its names from those of other tests.
pub struct Network {
    number: u32,
    hosts: u32,
    servers: Vec<Child>,
}

fn run(words: &str) -> bool {
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Network {
    /// Starts hosts, or says that the test is skipped.
    pub fn or_skip(world: &World, number: u32, hosts: u32) -> Option<Network> {
        Network::start(world, number, hosts).map_err(|why| eprintln!("skipped: {why}")).ok()
    }

    /// Starts hosts, or says why there can be none. Each has a folder `private` of its own, and the file `passwd` of the
    /// world, if there is one, in place of its own.
    fn start(world: &World, number: u32, hosts: u32) -> Result<Network, &'static str> {
        if !rustix::process::geteuid().is_root() || !Path::new(SSHD).exists() {
            return Err("this needs root and openssh-server");
        }
        for file in ["host_key", "key"] {
            let path = world.path(file);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&path)
                .stdin(Stdio::null())
                .status();
            if !made.is_ok_and(|made| made.success()) {
                return Err("no key can be made");
            }
        }
        // sshd wants it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let mut network = Network { number, hosts, servers: Vec::new() };
        for host in 1..=hosts {
            if !network.add(world, host) {
                return Err("network namespaces cannot be made here");
            }
        }
        world.write(
            "bin/ssh",
            &format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", world.path("ssh_config").display()),
        );
        std::fs::set_permissions(world.path("bin/ssh"), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        let of_host = |host: u32| format!("Host h{host} gpu{host}\n HostName 10.99.{number}.{}\n", host * 4 + 2);
        let common = format!(
            "Host *\n User root\n IdentityFile {}\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n",
            world.path("key").display()
        );
        world.write("ssh_config", &((1..=hosts).map(of_host).collect::<String>() + &common));
        let answers = |host: u32| {
            let mut ssh = Command::new(world.path("bin/ssh"));
            ssh.args(["-oBatchMode=yes", "-oConnectTimeout=2", &format!("h{host}"), "true"]);
            ssh.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        wait_until("the hosts answer", Duration::from_secs(90), || (1..=hosts).all(answers));
        Ok(network)
    }

    fn add(&mut self, world: &World, host: u32) -> bool {
        let (number, space, link) = (self.number, self.space(host), self.link(host));
        let (near, far) = (host * 4 + 1, host * 4 + 2);
        run(&format!("ip netns del {space}"));
        let made = run(&format!("ip netns add {space}"))
            && run(&format!("ip link add {link} type veth peer name eth0 netns {space}"))
            && run(&format!("ip addr add 10.99.{number}.{near}/30 dev {link}"))
            && run(&format!("ip link set {link} up"))
            && run(&format!("ip -n {space} addr add 10.99.{number}.{far}/30 dev eth0"))
            && run(&format!("ip -n {space} link set eth0 up"))
            && run(&format!("ip -n {space} link set lo up"));
        if !made {
            return false;
        }
        world.write("authorized", &std::fs::read_to_string(world.path("key.pub")).expect("it was made"));
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nPidFile none\nUsePAM no\nPermitRootLogin yes\n",
            world.path("host_key").display(),
            world.path("authorized").display()
        );
        world.write("sshd_config", &config);
        let mut server = Command::new("ip");
        // It also has mounts of its own.
        std::fs::create_dir_all(world.path("private")).expect("the folder is writable");
        let start = r#"mount -t tmpfs none "$1" && { [ ! -e "$4" ] || mount --bind "$4" /etc/passwd; } && exec "$2" -D -f "$3""#;
        server.args(["netns", "exec", &space, "sh", "-c", start, "sh"]).arg(world.path("private"));
        server.arg(SSHD).arg(world.path("sshd_config")).arg(world.path("passwd"));
        self.servers.extend(server.stderr(Stdio::null()).spawn());
        true
    }

    fn space(&self, host: u32) -> String {
        format!("sweep-{}-{host}", self.number)
    }

    fn link(&self, host: u32) -> String {
        format!("swp{}h{host}", self.number)
    }

    /// Cuts the cable of a host, or puts it back.
    pub fn cable(&self, host: u32, state: &str) {
        assert!(run(&format!("ip link set {} {state}", self.link(host))));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in 1..=self.hosts {
            // What still runs there ends with the host.
            if let Ok(pids) = Command::new("ip").args(["netns", "pids", &self.space(host)]).output() {
                for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
                    run(&format!("kill -9 {pid}"));
                }
            }
            run(&format!("ip link del {}", self.link(host)));
            run(&format!("ip netns del {}", self.space(host)));
        }
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

const SWEEP: &str = "
name: ssh
parameters: {learning_rate: {values: [1e-1, 1e-2, 1e-3, 1e-4]}, batch_size: {values: [16, 32]}}
data: {set: digits, validation: 0.2, train_examples: 100}
model: linear
training: {epochs: 4}
devices: {gpus: none}
";

/// A folder with a sweep file for these hosts.
fn world(script: &str) -> World {
    let world = scripted(script);
    let cluster = format!(
        "cluster: {{hosts: [h1, h2], program: {}, orphan: 2m, setup: ['export SCRIPT={} XDG_CACHE_HOME={}']}}\n",
        sweep().display(),
        world.path("script").display(),
        world.path("cache").display()
    );
    world.write("ssh.yaml", &(SWEEP.to_owned() + &cluster));
    world
}

/// `sweep` with these arguments, and with an ssh that finds the hosts.
fn command(world: &World, words: &str) -> Command {
    let mut command = world.sweep(&format!("{words} --progress plain --trainer trainer"));
    command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/bin", world.path("bin").display()));
    command
}

fn equals_whole(world: &World) {
    world.expect("run ssh.yaml --name whole --progress none --trainer trainer --on none", 0);
    let table = |name: &str, file: &str, without: &[&str]| world.table(&format!("results/{name}/{file}"), without);
    let times = &["seconds", "device", "attempts"];
    assert_eq!(table("ssh", "trials.csv", times), table("whole", "trials.csv", times));
    assert_eq!(table("ssh", "epochs.csv", &[]), table("whole", "epochs.csv", &[]));
}

#[test]
fn two_hosts_by_ssh_train_what_one_machine_would() {
    let world = world("* slow 40");
    let Some(_network) = Network::or_skip(&world, 1, 2) else { return };
    let output = command(&world, "run ssh.yaml").output().expect("sweep can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let devices = world.column("results/ssh/trials.csv", "device");
    assert!(
        devices.iter().any(|name| name.starts_with("h1/")) && devices.iter().any(|name| name.starts_with("h2/")),
        "{devices:?}"
    );
    equals_whole(&world);
    let output = command(&world, "run ssh.yaml --name none --on ssh:h1,h3").output().expect("sweep can be started");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{text}");
    assert!(text.contains("ssh:h3: ") && text.contains("nothing was started"), "{text}");
}

#[test]
#[ignore = "takes a minute: a connection without its cable is given up after 20 s"]
fn a_cable_that_is_pulled_and_put_back_costs_nothing() {
    let world = world("* slow 4000");
    let Some(network) = Network::or_skip(&world, 2, 2) else { return };
    let journal = || std::fs::read_to_string(world.path("results/ssh/journal.jsonl")).unwrap_or_default();
    let mut controller = command(&world, "run ssh.yaml").spawn().expect("sweep can be started");
    wait_until("both hosts train", Duration::from_secs(60), || {
        journal().contains("\"slot\":\"h1/") && journal().contains("\"slot\":\"h2/")
    });
    network.cable(1, "down");
    wait_until("it is silent", Duration::from_secs(60), || journal().contains("\"node_is\":\"silent\""));
    network.cable(1, "up");
    wait_until("it is heard again", Duration::from_secs(90), || journal().contains("\"node_is\":\"back\""));
    assert!(controller.wait().expect("it is our child").success());
    world.write("script", "");
    equals_whole(&world);
    assert!(world.column("results/ssh/trials.csv", "attempts").iter().all(|attempts| attempts == "1"));
}

/// A sweep whose data is in the folder `private`, and which runs on these hosts. `path` is the line for the shell there.
fn given(world: &World, hosts: &str, path: &str) {
    world.write("private/data/deep/score", "7");
    world.write(
        "train.sh",
        "echo \"{\\\"score\\\": $(cat private/data/deep/score)}\"\nwhile [ -e wait ]; do sleep 0.1; done\n",
    );
    world.write(
        "given.yaml",
        &format!(
            "name: given\nprogram: train.sh\ncommand: [sh, '${{program}}']\nmetric: {{name: score, goal: maximize}}\n\
             parameters: {{x: {{values: [1, 2, 3, 4]}}}}\ndevices: {{gpus: none}}\ncluster: {{hosts: [{hosts}], \
             sync: [private/data], setup: ['{path}']}}\n"
        ),
    );
}

/// A line for bash that keeps programs in the host's own folder.
fn own_cache(world: &World) -> String {
    let private = world.path("private").display().to_string();
    format!("export XDG_CACHE_HOME={private} PATH=$PATH:{private}/bin")
}

/// `sweep` with these arguments, and with an ssh that finds the hosts: its exit code, and what it says.
fn typed(world: &World, words: &str) -> (Option<i32>, String) {
    let mut command = world.sweep(words);
    command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/bin", world.path("bin").display()));
    let output = command.output().expect("sweep can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[test]
fn hosts_without_the_program_and_the_data_are_given_both() {
    let world = scripted("");
    let Some(network) = Network::or_skip(&world, 4, 2) else { return };
    let private = world.path("private").display().to_string();
    // Each host has a folder without the data, and the second one another version of `sweep`.
    given(&world, "h1, h2", &own_cache(&world));
    let old = r#"{"version":"0.0.1","node":"h2","machine":"x","architecture":"x","cores":1,"memory":1,"instructions":[],"libtorch":null,"slots":[],"problem":null}"#;
    let script = format!("mkdir {private}/bin && cat > {private}/bin/sweep && chmod 755 {private}/bin/sweep");
    let mut ssh = Command::new(world.path("bin/ssh")).args(["h2", &script]).stdin(Stdio::piped()).spawn().expect("ssh");
    let program = format!("#!/bin/sh\necho\necho sweep agent starts\nread line\necho '{old}'\n");
    std::io::Write::write_all(&mut ssh.stdin.take().expect("a pipe"), program.as_bytes()).expect("ssh reads");
    assert!(ssh.wait().expect("it is our child").success());
    let run = |words: &str| typed(&world, words);
    // First without rsync here, then with it, if it is installed.
    world.write("bin/rsync", "#!/bin/sh\nexit 1\n");
    std::fs::set_permissions(world.path("bin/rsync"), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let (code, text) = run("plan given.yaml");
    assert!(code == Some(0) && text.contains("copy private/data to h1"), "{text}");
    let (code, text) = run("run given.yaml");
    assert_eq!(code, Some(0), "{text}");
    let there = format!("{private}/sweep/bin/{}/sweep", env!("CARGO_PKG_VERSION"));
    for host in ["h1", "h2"] {
        assert!(text.contains(&format!("ssh:{host}: {private}/data was copied")), "{text}");
        assert!(text.contains(&format!("was copied to {there}, since: ")), "{text}");
        // The other one may be done before it joins.
        assert!(text.contains(&format!("note: {host}: ")), "{text}");
    }
    assert!(text.contains("since: sweep 0.0.1 is installed there") && text.contains("not found"), "{text}");
    assert_eq!(world.column("results/given/trials.csv", "best_score"), ["7.0"; 4].map(str::to_owned));
    // What is there is not copied again.
    std::fs::remove_file(world.path("bin/rsync")).expect("it is there");
    let (code, text) = run("run given.yaml --name again");
    assert!(code == Some(0) && !text.contains("was copied"), "{text}");
    // What is missing here is named before anything starts.
    std::fs::remove_dir_all(world.path("private/data")).expect("it is there");
    let (code, text) = run("run given.yaml --name missing");
    assert!(code == Some(3) && text.contains("`cluster: sync`") && text.contains("private/data"), "{code:?} {text}");
    assert!(!world.path("results/missing").exists());
    drop(network);
}

#[test]
fn hosts_with_another_login_shell_are_given_both_too() {
    for (number, shell, set) in [(5, "/usr/bin/tcsh", "setenv"), (6, "/usr/bin/fish", "set -x")] {
        if !Path::new(shell).exists() {
            eprintln!("skipped: {shell} is not installed");
            continue;
        }
        let world = scripted("");
        let passwd = std::fs::read_to_string("/etc/passwd").expect("Linux has it");
        let of_user = |line: &str| match line.rsplit_once(':').filter(|_| line.starts_with("root:")) {
            Some((rest, _)) => format!("{rest}:{shell}\n"),
            None => format!("{line}\n"),
        };
        world.write("passwd", &passwd.lines().map(of_user).collect::<String>());
        let Some(_network) = Network::or_skip(&world, number, 1) else { return };
        let said = Command::new(world.path("bin/ssh")).args(["h1", "echo $0 $version"]).output().expect("ssh");
        assert!(shell.ends_with("fish") || String::from_utf8_lossy(&said.stdout).contains("tcsh"), "{said:?}");
        let private = world.path("private").display().to_string();
        given(&world, "h1", &format!("{set} XDG_CACHE_HOME {private}"));
        // First by tar, then by rsync.
        world.write("bin/rsync", "#!/bin/sh\nexit 1\n");
        std::fs::set_permissions(world.path("bin/rsync"), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        let (code, text) = typed(&world, "run given.yaml --progress plain");
        assert_eq!(code, Some(0), "{shell}: {text}");
        assert!(text.contains(&format!("{private}/data was copied")) && text.contains("was copied to"), "{text}");
        std::fs::remove_file(world.path("bin/rsync")).expect("it is there");
        let (code, text) = typed(&world, "run given.yaml --name again --progress plain");
        assert!(code == Some(0) && !text.contains("copied to"), "{shell}: {text}");
    }
}

#[test]
fn a_host_that_joins_is_given_the_program_and_the_data_too() {
    let world = scripted("");
    let Some(_network) = Network::or_skip(&world, 7, 2) else { return };
    given(&world, "h1", &own_cache(&world));
    world.write("wait", "");
    let mut command = world.sweep("run given.yaml --progress plain");
    command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/bin", world.path("bin").display()));
    let out = std::fs::File::create(world.path("out")).expect("the folder is writable");
    let mut controller = command.stdout(out).spawn().expect("sweep can be started");
    let journal = || std::fs::read_to_string(world.path("results/given/journal.jsonl")).unwrap_or_default();
    wait_until("the first host trains", Duration::from_secs(60), || journal().contains("\"is\":\"row\""));
    let (code, text) = typed(&world, "join results/given --on ssh:h3");
    assert!(code == Some(0) && text.contains("ssh:h3 does not join: "), "{text}");
    let (code, text) = typed(&world, "join results/given --on ssh:h2");
    let private = world.path("private").display().to_string();
    assert!(code == Some(0) && text.contains(&format!("ssh:h2: {private}/data was copied")), "{text}");
    assert!(text.contains("ssh:h2: sweep ") && text.contains("was copied to"), "{text}");
    wait_until("the second host trains", Duration::from_secs(60), || journal().contains("\"slot\":\"h2/"));
    std::fs::remove_file(world.path("wait")).expect("it is there");
    assert!(controller.wait().expect("it is our child").success(), "{}", world.read("out"));
    assert!(world.read("out").contains("note: ssh:h2: sweep "), "{}", world.read("out"));
    assert_eq!(world.column("results/given/trials.csv", "best_score"), ["7.0"; 4].map(str::to_owned));
}
