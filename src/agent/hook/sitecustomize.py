"""Passes on the metrics that a training script logs. `sweep run` puts this folder on PYTHONPATH.

The script stays as it is. When it imports a library that logs metrics, the function that logs is wrapped, and every call
appends one JSON line to the file that SWEEP_LOGGED names. Keys that begin with `_` are not metrics. A wrapper must never
stop or change the script: if one cannot be installed, the file says so, and the library works without it.
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run_next_sitecustomize():
    """Only one module of this name is imported, so the user's own is run from here."""
    from importlib.machinery import PathFinder

    others = [place for place in sys.path if os.path.abspath(place or os.curdir) != HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def append(row, path=None):
    """One write per line, so that several processes can share the file."""
    file = os.open(path or os.environ["SWEEP_LOGGED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, (json.dumps(row) + "\n").encode())
    finally:
        os.close(file)


def numbers(values, prefix=""):
    """The numbers of a dictionary by name, nested ones as `a.b`. Images, tables, and text are left out."""
    found = {}
    for name, value in dict(values).items():
        name = prefix + str(name)
        if isinstance(value, dict):
            found.update(numbers(value, name + "."))
        elif hasattr(value, "__float__") and not isinstance(value, bool):
            try:
                found[name] = float(value)
            except Exception:
                pass  # an array with several elements
    return found


def log(source, values, **more):
    """Passes on a row. Of the processes of one trial, only the first one reports."""
    if os.environ.get("RANK", "0") != "0" or os.environ.get("LOCAL_RANK", "0") != "0":
        return
    try:
        found = numbers(values)
        if found:
            append(dict({"_from": source}, **dict(more, **found)))
    except Exception as error:
        report("a row of %s is lost: %r" % (source, error))


def announce(*arguments, **named):
    """Says that rows will come, so that printed text, which may arrive earlier, waits for them."""
    if not Rows.announced:
        Rows.announced = True
        try:
            append({"_began": True})
        except Exception:
            pass


def report(problem):
    try:
        append({"_problem": problem})
    except Exception:
        pass


def caller():
    """The line of the script that called the library: `train.py:12`."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file != __file__ and "site-packages" not in file and not file.startswith("<"):
            return "%s:%d" % (os.path.relpath(file), frame.f_lineno)
        frame = frame.f_back
    return "the script"


def around(owner, name, before=None, after=None, failed=None, made=None):
    """Wraps a function or method. Does nothing if it is missing or already wrapped. `made` also gets the result."""
    original = getattr(owner, name, None)
    if original is None or getattr(original, "_sweep", False):
        return

    def wrapped(*arguments, **named):
        if before:
            before(*arguments, **named)
        try:
            result = original(*arguments, **named)
        except Exception as error:
            if failed:
                failed(error, *arguments, **named)
            raise
        if after:
            after(*arguments, **named)
        if made:
            made(result, *arguments, **named)
        return result

    for attribute in ("__name__", "__qualname__", "__doc__", "__module__", "__wrapped__"):
        try:
            setattr(wrapped, attribute, original if attribute == "__wrapped__" else getattr(original, attribute))
        except AttributeError:
            pass
    wrapped._sweep = True
    setattr(owner, name, wrapped)


# W&B


class Rows:
    """Numbers the rows of `wandb.log` as W&B does: calls with `commit=False` or the same `step` share a row."""

    number = 0
    last = 0
    names = set()
    announced = False
    axes = {}
    places = {}


STEPS = ("step", "iter", "batch", "sample", "example", "token", "time", "second", "frame", "episode")


def wandb_define_metric(run, name=None, step_metric=None, *others, **named):
    """An axis of its own is what the script counts by: the epochs of its metrics, unless its name says that it counts steps."""
    axis = getattr(step_metric, "name", step_metric)
    if isinstance(name, str) and isinstance(axis, str) and not any(word in axis.lower() for word in STEPS):
        Rows.axes[name] = axis


def axis_place(found):
    """The place of a row on the axis that was defined for one of its metrics. W&B fills in the last one of an axis."""
    from fnmatch import fnmatchcase

    Rows.places.update({axis: found[axis] for axis in Rows.axes.values() if axis in found})
    for pattern, axis in Rows.axes.items():
        place = Rows.places.get(axis)
        if place is not None and place >= 0 and place == int(place):
            if any(name != axis and fnmatchcase(name, pattern) for name in found):
                return {"epoch": place}
    return {}


def wandb_log(run, data=None, step=None, commit=None, *others, **named):
    if not isinstance(data, dict):
        return
    if step is not None:
        Rows.number = max(Rows.number, int(step))
    found = numbers(data)
    Rows.names.update(found)
    log("wandb.log", data, **dict(axis_place(found), _row=Rows.number))
    Rows.last = Rows.number
    if commit or (commit is None and step is None):
        Rows.number += 1


def wandb_summary(summary, values=None, *others, **named):
    """A summary is an epoch only where the same name is never logged: it may be the best value, not the last."""
    if isinstance(values, dict):
        log("wandb summary", {name: value for name, value in values.items() if name not in Rows.names}, _row=Rows.last)


def offline(what, remedy):
    def failed(error, *arguments, **named):
        if os.environ.get("WANDB_MODE") == "offline":
            report("%s: %s needs W&B's server, but trials run offline; %s" % (caller(), what, remedy))

    return failed


def patch_run(module):
    around(module.Run, "log", before=wandb_log)
    around(module.Run, "define_metric", before=wandb_define_metric)
    remedy = "read the data from a local path, or set WANDB_MODE=online for `sweep run`"
    around(module.Run, "use_artifact", failed=offline("use_artifact", remedy))


def patch_summary(module):
    around(module.SummaryDict, "update", before=wandb_summary)


def patch_wandb(module):
    def failed_init(error, *arguments, **named):
        if named.get("mode") in ("online", "shared"):
            offline("mode=%r" % named["mode"], "leave `mode` out, or set WANDB_MODE=online for `sweep run`")(error)

    around(module, "init", after=announce, failed=failed_init)
    remedy = "leave it out in a trial, or set WANDB_MODE=online for `sweep run`"
    around(module.Api, "__init__", failed=offline("wandb.Api()", remedy))
    if os.environ.get("WANDB_MODE") == "offline":
        module.sweep, module.agent = sweep, agent


def sweep(sweep=None, *others, **named):
    """Replaces `wandb.sweep`, which would ask W&B's server for an id."""
    asked = os.environ.get("SWEEP_ASKED")
    if asked:
        append({"sweep": sweep() if callable(sweep) else sweep}, asked)
    return "sweep"


def agent(sweep_id=None, function=None, entity=None, project=None, count=None, *others, **named):
    """Replaces `wandb.agent`: calls the function once, with the parameters of this trial."""
    asked = os.environ.get("SWEEP_ASKED")
    if asked:
        append({"agent": {"count": count, "function": function is not None}}, asked)
        sys.stdout.flush()
        raise SystemExit(0)
    if function is None:
        report("%s: wandb.agent has no function, so it would start another sweep inside this trial" % caller())
        raise SystemExit(78)
    return function()


# Other libraries


def patch_mlflow(module):
    def metric(client, run_id=None, key=None, value=None, timestamp=None, step=None, *others, **named):
        log("mlflow", {key: value}, _row=step)

    def batch(client, run_id=None, metrics=(), *others, **named):
        for one in metrics or ():
            log("mlflow", {one.key: one.value}, _row=one.step)

    around(module.MlflowClient, "create_run", before=announce)
    around(module.MlflowClient, "log_metric", before=metric)
    around(module.MlflowClient, "log_batch", before=batch)


def patch_tensorboard(module):
    def scalar(writer, tag=None, scalar_value=None, global_step=None, *others, **named):
        log("TensorBoard", {tag: scalar_value}, _row=global_step)

    def scalars(writer, main_tag=None, tag_scalar_dict=None, global_step=None, *others, **named):
        named_values = {"%s/%s" % (main_tag, tag): value for tag, value in (tag_scalar_dict or {}).items()}
        log("TensorBoard", named_values, _row=global_step)

    around(module.SummaryWriter, "__init__", after=announce)
    around(module.SummaryWriter, "add_scalar", before=scalar)
    around(module.SummaryWriter, "add_scalars", before=scalars)


WRITERS = {}
PARTS = ("train", "training", "val", "valid", "validation", "eval", "evaluation", "test")


def patch_tensorflow(module):
    """TensorFlow names no set: training and validation have writers into folders of their own."""

    def writer(result, logdir=None, *others, **named):
        announce()
        if isinstance(logdir, (str, os.PathLike)):
            WRITERS[id(result)] = (result, os.path.basename(os.path.normpath(logdir)))

    around(module, "create_file_writer_v2", made=writer)


def patch_tensorflow_scalar(module):
    def scalar(name=None, data=None, step=None, *others, **named):
        summary = sys.modules.get("tensorflow.python.ops.summary_ops_v2")
        writer = summary._summary_state.writer if summary else None
        if writer is None:
            return
        step = summary.get_step() if step is None else step
        part = WRITERS.get(id(writer), (None, ""))[1]
        name = "%s/%s" % (part, name) if part.lower() in PARTS else name
        try:
            data, step = float(data), int(step)
        except Exception:
            report(
                "%s: tf.summary.scalar inside tf.function is not read; "
                "write `metrics: '**/events.out.tfevents.*'` into the sweep file" % caller()
            )
            return
        log("TensorBoard", {name: data}, _row=step)

    around(module, "scalar", before=scalar)


def patch_keras(module):
    def epoch_end(history, epoch, logs=None):
        log("Keras", logs or {}, epoch=epoch + 1, _epochs=(history.params or {}).get("epochs"))

    if hasattr(module, "History"):
        around(module.History, "on_epoch_end", before=epoch_end)


def patch_lightning(module):
    def log_metrics(connector, metrics=None, step=None, *others, **named):
        trainer = connector.trainer
        planned = trainer.max_epochs
        log("Lightning", metrics or {}, epoch=trainer.current_epoch, _step=trainer.global_step, _epochs=planned)

    around(module._LoggerConnector, "log_metrics", before=log_metrics)


def patch_transformers(module):
    def trainer_log(trainer, logs=None, *others, **named):
        state = trainer.state
        log("Hugging Face", logs or {}, epoch=state.epoch or 0, _step=state.global_step, _epochs=state.num_train_epochs)

    around(module.Trainer, "log", before=trainer_log)


def patch_ultralytics(module):
    def save_metrics(trainer, metrics=None, *others, **named):
        losses = trainer.label_loss_items(trainer.tloss, prefix="train")
        log("Ultralytics", dict(losses, **(metrics or {})), epoch=trainer.epoch + 1, _epochs=trainer.epochs)

    around(module.BaseTrainer, "save_metrics", before=save_metrics)


# Signals


class Signals:
    """The signals that the first Python process of the trial has handled, which its supervisor reads at its end."""

    process = os.getpid()
    file = os.environ.get("SWEEP_SIGNALS")
    names = ("SIGHUP", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGTERM")
    taken = set()
    own = set()

    @staticmethod
    def take(number):
        """Notes a signal, unless the process sent it to itself. A forked worker ends by signals of its parent."""
        if os.getpid() == Signals.process and int(number) not in Signals.own:
            Signals.taken.add(int(number))
            try:
                with open(Signals.file, "w") as file:
                    json.dump(sorted(Signals.taken), file)
            except Exception:
                pass

    @staticmethod
    def send(process, number=None, *others, **named):
        """A signal that the process sends to itself or to its group says nothing about what it was asked for."""
        if process in (0, Signals.process, -Signals.process, os.getpgrp(), -os.getpgrp()):
            Signals.own.add(int(number))


class Handler:
    """Stands in for a handler of the script, and notes the signal first. The script never sees it."""

    def __init__(self, handler):
        self.handler = handler

    def __call__(self, number, frame):
        Signals.take(number)
        return self.handler(number, frame)


def own_handler(handler):
    return handler.handler if isinstance(handler, Handler) else handler


def patch_signal(module):
    install, installed = module.signal, module.getsignal
    watched = {getattr(module, name) for name in Signals.names}

    def signal(signalnum, handler):
        is_own = signalnum in watched and callable(handler) and not isinstance(handler, Handler)
        return own_handler(install(signalnum, Handler(handler) if is_own else handler))

    def getsignal(signalnum):
        return own_handler(installed(signalnum))

    for wrapped, original in ((signal, install), (getsignal, installed)):
        wrapped.__doc__, wrapped.__module__, wrapped.__wrapped__ = original.__doc__, module.__name__, original
    module.signal, module.getsignal = signal, getsignal
    for name in ("sigwait", "sigwaitinfo", "sigtimedwait"):
        around(module, name, made=lambda result, *others, **named: take_waited(result))
    around(module, "raise_signal", before=lambda number: Signals.send(0, number))
    for name in ("kill", "killpg"):
        around(os, name, before=Signals.send)


def take_waited(result):
    number = getattr(result, "si_signo", result)
    if number is not None:
        Signals.take(number)


def watch_signals():
    """Watches the handlers of the first Python process of a trial. Processes that it starts are its own affair."""
    mark = "SWEEP_FIRST_PYTHON"
    if not Signals.file or os.environ.setdefault(mark, str(Signals.process)) != str(Signals.process):
        return
    PATCHES["signal"] = patch_signal
    if "signal" in sys.modules:
        PATCHES.pop("signal")(sys.modules["signal"])
    # KeyboardInterrupt, which a script can catch without this module. It was not installed if SIGINT is ignored.
    import _signal

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, Handler(_signal.default_int_handler))


LOGGER = "trainer.connectors.logger_connector.logger_connector"
PATCHES = {
    "wandb": patch_wandb,
    "wandb.sdk.wandb_run": patch_run,
    "wandb.sdk.wandb_summary": patch_summary,
    "mlflow.tracking.client": patch_mlflow,
    "torch.utils.tensorboard.writer": patch_tensorboard,
    "tensorboardX.writer": patch_tensorboard,
    "tensorflow.python.ops.summary_ops_v2": patch_tensorflow,
    "tensorboard.plugins.scalar.summary_v2": patch_tensorflow_scalar,
    "keras.callbacks": patch_keras,
    "keras.src.callbacks": patch_keras,
    "keras.src.callbacks.history": patch_keras,
    "tf_keras.src.callbacks": patch_keras,
    "lightning.pytorch." + LOGGER: patch_lightning,
    "pytorch_lightning." + LOGGER: patch_lightning,
    "transformers.trainer": patch_transformers,
    "ultralytics.engine.trainer": patch_ultralytics,
}


class Finder:
    """Wraps a library's functions right after its module was imported. Nothing is imported that the script does not."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        patch = PATCHES.pop(name, None)
        if patch is None:
            return None
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            try:
                patch(module)
            except Exception as error:
                report("what the script logs with %s cannot be read: %r" % (name, error))

        spec.loader.exec_module = exec_module
        return spec


try:
    run_next_sitecustomize()
finally:
    if os.environ.get("SWEEP_LOGGED") or os.environ.get("SWEEP_ASKED"):
        sys.meta_path.insert(0, Finder)
    try:
        watch_signals()
    except Exception as error:
        report("signals that come from elsewhere are not seen: %r" % error)
