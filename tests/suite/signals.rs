//! Signals that `sweep` did not send, to a Python program alone.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, wait_until};

/// Reports three epochs, each after it may, and keeps the number of the last one. The handler is the caller's.
const TRAIN: &str = "import json, os, signal, sys, time
folder = os.environ['SWEEP_TRIAL_DIR']
def train(should_stop=lambda: False):
    state = os.path.join(folder, 'state')
    done = int(open(state).read()) if os.environ['SWEEP_RESUME'] == '1' else 0
    for epoch in range(done + 1, 4):
        print(json.dumps({'epoch': epoch, 'score': epoch}), flush=True)
        open(state, 'w').write(str(epoch))
        if epoch == 1:
            open(os.path.join(folder, 'pid'), 'w').write(str(os.getpid()) + '.')
            deadline = time.time() + 60
            while not should_stop() and time.time() < deadline:
                time.sleep(0.01)
            if should_stop():
                return
";

fn world(script: &str) -> World {
    let world = World::new();
    world.write("train.py", &format!("{TRAIN}\n{script}"));
    let head = "name: s\nprogram: train.py\ndevices: {gpus: none}\nretries: 0\n";
    world.write("s.yaml", &format!("{head}metric: {{name: score, goal: maximize}}\n"));
    world
}

#[test]
fn a_python_program_that_saves_and_ends_well_on_a_signal_from_elsewhere_has_not_finished() {
    let flag = "stop = []\nsignal.signal(signal.NAME, lambda *_: stop.append(1))\ntrain(lambda: stop)\n";
    let exits = "signal.signal(signal.NAME, lambda *_: sys.exit(0))\ntrain()\n";
    let asyncio = "import asyncio
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.NAME, stop.set)
    training = asyncio.get_running_loop().run_in_executor(None, train, stop.is_set)
    await asyncio.wait([training], return_when='FIRST_COMPLETED')
asyncio.run(main())
";
    let interrupted = "signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    train()
except KeyboardInterrupt:
    pass
";
    let waits = "import threading
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.NAME})
stop = []
threading.Thread(target=lambda: stop.append(signal.sigwait({signal.NAME})), daemon=True).start()
train(lambda: stop)
";
    for (script, signal, name) in [
        (flag, Signal::TERM, "SIGTERM"),
        (exits, Signal::USR1, "SIGUSR1"),
        (asyncio, Signal::TERM, "SIGTERM"),
        (interrupted, Signal::INT, "SIGINT"),
        (waits, Signal::USR2, "SIGUSR2"),
    ] {
        let world = world(&script.replace("NAME", name));
        let is_json = signal == Signal::USR2;
        let mut run = world.sweep(if is_json { "run s.yaml --json" } else { "run s.yaml --progress plain" });
        let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = || std::fs::read_to_string(world.path("results/s/trials/0001/pid")).unwrap_or_default();
        wait_until("it trains", Duration::from_secs(60), || pid().ends_with('.'));
        let pid: i32 = pid().trim_end_matches('.').parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        let output = run.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let told = match is_json {
            false => {
                format!(
                    "trial 0001: its program exited with code 0 after {name} from another process; it is started again"
                )
            }
            true => format!(r#""unsaved":null,"later":true,"signal":{}"#, signal.as_raw()),
        };
        assert!(text.contains(&told), "{text}");
        let column = |name: &str| world.column("results/s/trials.csv", name)[0].clone();
        assert_eq!(
            (column("status"), column("attempts"), column("epochs")),
            ("finished".into(), "2".into(), "3".into())
        );
        assert!(!world.path("results/s/trials/0001/.signals.json").exists());
    }
}

#[test]
fn the_end_of_workers_and_a_signal_of_its_own_leave_a_python_program_finished() {
    let script = "import multiprocessing, subprocess
def work():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    open(os.path.join(folder, multiprocessing.current_process().name), 'w').close()
    time.sleep(60)
def ready(path):
    while not os.path.exists(os.path.join(folder, path)):
        time.sleep(0.01)
if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: None)
    for method in ['fork', 'spawn']:
        worker = multiprocessing.get_context(method).Process(target=work, name=method)
        worker.start()
        ready(method)
        worker.terminate()
        worker.join()
    code = 'import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); open(sys.argv[1], \"w\"); time.sleep(60)'
    child = subprocess.Popen([sys.executable, '-c', code, os.path.join(folder, 'child')])
    ready('child')
    child.terminate()
    child.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    train(lambda: True)
";
    let world = world(script);
    let text = world.expect("run s.yaml --progress plain", 0);
    assert!(!text.contains("from another process"), "{text}");
    assert_eq!(world.column("results/s/trials.csv", "attempts"), ["1"]);
}

#[test]
fn a_python_program_sees_its_own_handlers_alone() {
    let script = "def handler(number, frame):
    raise KeyError(number)
assert signal.signal(signal.SIGTERM, handler) == signal.SIG_DFL
assert signal.getsignal(signal.SIGTERM) is handler
assert signal.signal(signal.SIGTERM, signal.SIG_IGN) is handler
assert signal.signal(15, handler) == signal.SIG_IGN
assert signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_IGN)
assert signal.signal(signal.SIGALRM, handler) == signal.SIG_DFL
assert (signal.signal.__name__, signal.signal.__module__) == ('signal', 'signal')
try:
    signal.signal(signal.SIGTERM, 'no handler')
except TypeError:
    pass
else:
    sys.exit(3)
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
except KeyError as error:
    assert error.args == (signal.SIGTERM,)
    train(lambda: True)
";
    let world = world(script);
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "status"), ["finished"]);
}
