//! Metrics from where Python scripts already put them. The libraries are stand-ins with the structure of the real ones, so
//! that no package is needed; `make test-ecosystem` runs the real ones.

use crate::world::World;

/// A world with a script, a library `wandb` that does nothing, and a sweep of them.
fn world(script: &str, rest: &str) -> World {
    let world = World::new();
    world.write("train.py", script);
    for (path, text) in [
        (
            "wandb/__init__.py",
            "from wandb.sdk.wandb_run import Run, init\nimport os, json\nrun = None\n\nclass Api:\n    def __init__(self):\n        raise RuntimeError('no server')\n\ndef log(*a, **k):\n    return Run.current.log(*a, **k)\n\ndef sweep(*a, **k):\n    raise RuntimeError('no server')\n\ndef agent(*a, **k):\n    raise RuntimeError('no server')\n\ndef config():\n    path = os.environ['WANDB_SWEEP_PARAM_PATH']\n    return {k: v['value'] for k, v in json.load(open(path)).items() if k != 'wandb_version'}\n",
        ),
        ("wandb/sdk/__init__.py", ""),
        (
            "wandb/sdk/wandb_summary.py",
            "class SummaryDict:\n    def __setitem__(self, name, value):\n        self.update({name: value})\n\n    def update(self, values):\n        pass\n",
        ),
        (
            "wandb/sdk/wandb_run.py",
            "from wandb.sdk.wandb_summary import SummaryDict\n\nclass Run:\n    current = None\n\n    def __init__(self):\n        self.summary = SummaryDict()\n        Run.current = self\n\n    def log(self, data, step=None, commit=None):\n        pass\n\n    def use_artifact(self, name):\n        raise TypeError('Cannot use artifact when in offline mode.')\n\ndef init(mode=None):\n    if mode == 'online':\n        raise RuntimeError('no server')\n    return Run()\n",
        ),
    ] {
        world.write(path, text);
    }
    world.write("s.yaml", &format!("name: s\nprogram: train.py\ndevices: {{gpus: none}}\n{rest}"));
    world
}

const METRIC: &str = "metric: {name: val/loss, goal: minimize}\nparameters: {lr: {values: [0.5, 0.25]}}\n";

fn column(world: &World, table: &str, name: &str) -> Vec<String> {
    world.column(&format!("results/s/{table}.csv"), name)
}

#[test]
fn a_script_that_only_logs_to_wandb_is_a_sweep_as_it_is() {
    let script = "import argparse, wandb
parser = argparse.ArgumentParser()
parser.add_argument('--lr', type=float)
lr = parser.parse_args().lr
run = wandb.init()
for epoch in range(3):
    for step in range(4):
        wandb.log({'train/loss': lr * 10 + step})
    wandb.log({'val': {'loss': lr / (epoch + 1), 'image': object()}}, commit=False)
    wandb.log({'val/acc': 50 + epoch, 'text': 'no number'})
    print(f'Epoch {epoch}: val loss {lr + 100}')
run.summary['best'] = 7
";
    let world = world(script, METRIC);
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(column(&world, "trials", "epochs"), ["3", "3"]);
    assert_eq!(column(&world, "trials", "best_epoch"), ["3", "3"]);
    let losses: Vec<f64> = column(&world, "epochs", "val_loss").iter().map(|loss| loss.parse().unwrap()).collect();
    let expected = |lr: f64| [lr, lr / 2.0, lr / 3.0];
    assert_eq!(losses, [expected(0.5), expected(0.25)].concat());
    assert_eq!(column(&world, "epochs", "train_loss")[..3], ["6.5", "6.5", "6.5"]);
    assert_eq!(column(&world, "epochs", "val_accuracy")[..3], ["0.5", "0.51", "0.52"]);
    assert_eq!(column(&world, "epochs", "best")[2], "7.0");
    let log = world.read("results/s/trials/0001/trainer.log");
    assert!(log.contains("sweep: val/loss is read from wandb.log"), "{log}");
}

#[test]
fn the_users_own_sitecustomize_runs_too() {
    let script = "import os, json
print(json.dumps({'val/loss': float(os.environ['OWN'])}))
";
    let world = world(script, METRIC);
    world.write("own/sitecustomize.py", "import os\nos.environ['OWN'] = '0.5'\n");
    let mut command = world.sweep("run s.yaml --progress none");
    let output = command.env("PYTHONPATH", world.path("own")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(column(&world, "trials", "status"), ["finished", "finished"]);
}

#[test]
fn a_call_that_needs_the_server_names_its_line_and_what_to_do() {
    for (call, told) in [
        ("wandb.init().use_artifact('a/b:latest')", "use_artifact needs W&B's server"),
        ("wandb.init(mode='online')", "mode='online' needs W&B's server"),
        ("wandb.Api()", "wandb.Api() needs W&B's server"),
    ] {
        let world = world(&format!("import wandb\n\n{call}\n"), &format!("retries: 0\n{METRIC}"));
        world.expect("run s.yaml --progress none", 1);
        let error = column(&world, "trials", "error").concat();
        assert!(error.contains(&format!("train.py:3: {told}")) && error.contains("WANDB_MODE=online"), "{error}");
    }
}

#[test]
fn a_sweep_in_a_script_becomes_a_sweep_file_whose_trials_call_the_function_once() {
    let script = "import wandb

def train():
    run = wandb.init()
    for epoch in range(2):
        run.log({'val/loss': wandb.config()['lr'] - epoch / 10})

if __name__ == '__main__':
    sweep = {'method': 'grid', 'metric': {'name': 'val/loss', 'goal': 'minimize'},
             'parameters': {'lr': {'values': [0.5, 0.25, 0.75]}}}
    wandb.agent(wandb.sweep(sweep, project='p'), function=train, count=2)
";
    let world = world(script, "");
    world.expect("init train.py", 0);
    let file = world.read("train.sweep.yaml");
    assert!(file.contains("program: train.py") && file.contains("run_cap: 2"), "{file}");
    world.expect("run train.py --progress none --name s", 0);
    assert_eq!(column(&world, "trials", "epochs"), ["2", "2"]);
    assert_eq!(column(&world, "trials", "best_val/loss"), ["0.4", "0.15"]);
    world.write("train.sweep.yaml", &file.replace("run_cap: 2", "run_cap: 3"));
    let error = world.expect("run train.py", 2);
    assert!(error.contains("differs from the sweep in train.py"), "{error}");
    world.write("other.py", "print('hello')\n");
    let error = world.expect("init other.py", 2);
    assert!(error.contains("ended without a call of wandb.sweep; its last output: hello"), "{error}");
}

/// What the script prints is read, where nothing else reports the metric.
#[test]
fn printed_text_is_read_where_nothing_else_reports_the_metric() {
    let loops = [
        "print(f'Epoch {e}/3 loss {lr * 4 / e:.4f} val_loss {lr / e:.4f}')",
        "print(f'Epoch: {e}/3... Loss: {lr * 4 / e:.4f}... Val Loss: {lr / e:.4f}')",
        "print(f'Train Epoch: {e} [640/60000 (1%)]\\tLoss: {lr * 4 / e:.4f}\\n\\nTest set: Average loss: {lr / e:.4f}, Accuracy: 98/100 (98%)\\n')",
        "print(f'step {e * 250}: train loss {lr * 4 / e:.4f}, val loss {lr / e:.4f}')",
        "sys.stderr.write(f'\\rEpoch {e}: 50%|## | loss=9\\rEpoch {e}: 100%|####| loss={lr * 4 / e:.4f}, val_loss={lr / e:.4f}\\n')",
        "print(dict(loss=lr * 4 / e, epoch=float(e))); print(dict(eval_loss=lr / e, epoch=float(e)))",
    ];
    for body in loops {
        let script = format!(
            "import sys\nlr = float(sys.argv[1].split('=')[1])\nprint('lr', lr)\nfor e in range(1, 4):\n    {body}\n"
        );
        let world = world(&script, &METRIC.replace("val/loss", "val_loss"));
        world.expect("run s.yaml --progress none", 0);
        assert_eq!(column(&world, "trials", "epochs"), ["3", "3"], "{body}");
        let number = |text: &String| text.parse::<f64>().unwrap();
        let last =
            (number(&column(&world, "epochs", "val_loss")[2]), number(&column(&world, "epochs", "train_loss")[2]));
        assert!((last.0 - 0.5 / 3.0).abs() < 1e-4 && (last.1 - 2.0 / 3.0).abs() < 1e-4, "{body}: {last:?}");
        let log = world.read("results/s/trials/0001/trainer.log");
        assert!(log.contains("val_loss is read from the printed text"), "{log}");
    }
}

#[test]
fn metrics_are_read_from_the_file_or_by_the_expression_that_the_sweep_file_names() {
    let script = "import os, sys
lr = float(sys.argv[1].split('=')[1])
folder = os.environ['SWEEP_TRIAL_DIR'] + '/logs/version_0'
os.makedirs(folder)
with open(folder + '/metrics.csv', 'w') as file:
    print('epoch,val_loss', file=file)
    for epoch in range(3):
        print(f'{epoch},{lr / (epoch + 1)}', file=file, flush=True)
        print(f'@@ {epoch} {lr * 10}', flush=True)
";
    for (key, best) in
        [("'logs/**/metrics.csv'", ["0.16666666666666666"]), (r"'@@ (?P<epoch>\d+) (?P<val_loss>\S+)'", ["5.0"])]
    {
        let rest =
            format!("metric: {{name: val_loss, goal: minimize}}\nmetrics: {key}\nparameters: {{lr: {{value: 0.5}}}}\n");
        let world = world(script, &rest);
        let plan = world.expect("plan s.yaml", 0);
        assert!(plan.contains("metrics"), "{plan}");
        world.expect("run s.yaml --progress none", 0);
        assert_eq!(column(&world, "trials", "epochs"), ["3"], "{key}");
        assert_eq!(column(&world, "trials", "best_val_loss"), best, "{key}");
    }
    let world = world(script, "metrics: '(?P<a>'\nparameters: {lr: {value: 0.5}}\n");
    let error = world.expect("plan s.yaml", 3);
    assert!(error.contains("is not a regular expression"), "{error}");
}

#[test]
fn placeholders_and_the_trials_folder_keep_parallel_trials_apart() {
    let script = "import json, os, sys\nopen('checkpoint', 'x').close()\nprint(json.dumps({'val_loss': len(sys.argv)}))\n\
                  open('arguments', 'w').write(' '.join(sys.argv[1:]))\n";
    let world = world(
        script,
        "cwd: trial\ncommand: [python3, train.py, \"--out=${trial_dir}/x\", \"${trial}\", \"${args_no_nulls}\"]\nparameters: {lr: \
         {values: [1, null]}, path: {value: \"${trial}/y\"}}\n",
    );
    world.expect("run s.yaml --progress none", 0);
    let folder = world.path("results/s/trials/0002");
    let arguments = world.read("results/s/trials/0002/arguments");
    assert_eq!(arguments, format!("--out={}/x 2 --path=2/y", folder.display()));
    assert!(world.path("results/s/trials/0001/checkpoint").exists());
    world.write("s.yaml", &world.read("s.yaml").replace("cwd: trial", "cwd: home"));
    assert!(world.expect("plan s.yaml", 3).contains("cwd: trial"));
}

/// The offline file of wandb is read where its library ran without the hook.
#[test]
fn wandbs_offline_file_is_read_where_nothing_else_reports_the_metric() {
    let script = r#"import os, sys
def field(number, data):
    return bytes([number << 3 & 127 | 2 | (128 if number > 15 else 0)]) + (bytes([number >> 4]) if number > 15 else b'') + bytes([len(data)]) + data
folder = os.environ['WANDB_DIR'] + '/wandb/offline-run-1-abc'
os.makedirs(folder)
lr = float(sys.argv[1].split('=')[1])
with open(folder + '/run-abc.wandb', 'wb') as file:
    file.write(b':W&B' + bytes([0xe1, 0xbe, 0]))
    for epoch in range(3):
        row = b''.join(field(1, field(1, k) + field(16, str(v).encode())) for k, v in ((b'val/loss', lr / (epoch + 1)), (b'epoch', epoch)))
        record = field(2, row)
        file.write(bytes(4) + len(record).to_bytes(2, 'little') + bytes([1]) + record)
"#;
    let world = world(script, &format!("command: [python3, -I, train.py, \"${{args}}\"]\n{METRIC}"));
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(column(&world, "trials", "epochs"), ["3", "3"]);
    assert_eq!(column(&world, "trials", "best_val_loss"), ["0.16666666666666666", "0.08333333333333333"]);
    let log = world.read("results/s/trials/0001/trainer.log");
    assert!(log.contains("val/loss is read from W&B's offline file"), "{log}");
}

#[test]
fn an_axis_of_its_own_numbers_the_epochs_of_a_metric() {
    let script = "import wandb
run = wandb.init()
run.define_metric('val/*', step_metric='round')
run.define_metric('train/*', step_metric='train/step')
for round in (10, 20):
    for step in range(3):
        run.log({'train/loss': step, 'train/step': round + step})
    run.log({'round': round})
    run.log({'val/loss': 1 / round})
";
    let world = world(script, METRIC);
    let library = world.read("wandb/sdk/wandb_run.py");
    let method = "    def use_artifact";
    let defined = "    def define_metric(self, name, step_metric=None, **more):\n        pass\n\n    def use_artifact";
    world.write("wandb/sdk/wandb_run.py", &library.replace(method, defined));
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(column(&world, "epochs", "epoch"), ["10", "20", "10", "20"]);
    assert_eq!(column(&world, "epochs", "train_loss")[..2], ["1.0", "1.0"]);
}

/// Files that are no lines are read again whenever they change, also those of which each holds all of the training.
#[test]
fn the_state_of_a_trainer_is_read_from_its_newest_checkpoint() {
    let script = "import json, os, sys
history = []
for epoch in range(1, 4):
    history += [{'epoch': float(epoch), 'loss': 4 / epoch, 'step': epoch * 5}]
    history += [{'epoch': float(epoch), 'eval_loss': 2 / epoch, 'step': epoch * 5}]
    os.makedirs(f'out/checkpoint-{epoch * 5}')
    with open(f'out/checkpoint-{epoch * 5}/trainer_state.json', 'w') as file:
        json.dump({'best_metric': None, 'log_history': history}, file)
";
    let rest = "cwd: trial\nmetrics: out/**/trainer_state.json\nmetric: {name: eval_loss, goal: minimize}\n\
                parameters: {lr: {values: [0.5, 0.25]}}\n";
    let world = world(script, rest);
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(column(&world, "epochs", "val_loss")[..3], ["2.0", "1.0", "0.6666666666666666"]);
    assert_eq!(column(&world, "epochs", "train_loss")[..3], ["4.0", "2.0", "1.3333333333333333"]);
}

#[test]
fn epochs_are_shown_with_the_number_that_the_script_means_to_train() {
    let script = "import time\nfor e in range(1, 4):\n    print(f'Epoch {e}/7: val_loss {1 / e:.3f}', flush=True)\ntime.sleep(1000)\n";
    let world = world(script, &METRIC.replace("val/loss", "val_loss").replace("[0.5, 0.25]", "[0.5]"));
    let mut controller = world.sweep("run s.yaml --progress none").spawn().unwrap();
    let journal = world.path("results/s/journal.jsonl");
    crate::world::wait_until("three epochs are reported", std::time::Duration::from_secs(60), || {
        std::fs::read_to_string(&journal).is_ok_and(|journal| journal.matches("\"is\":\"row\"").count() >= 3)
    });
    let status = world.expect("status results/s", 0);
    assert!(status.contains("3 of 7"), "{status}");
    crate::world::send(&controller, rustix::process::Signal::TERM);
    controller.wait().unwrap();
}
