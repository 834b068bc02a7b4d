"""A SLURM cluster of one node on this machine: its daemons on loopback, all that they keep in one folder.

    python tests/slurm/cluster.py FOLDER    start it, say how to use it, and stop it at the end of the input

Needs root, and Debian's slurmctld, slurmd, slurmdbd, slurm-client, munge and mariadb-server, which it installs.
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "slurmdbd", "sbatch", "sacctmgr", "munged", "mariadbd", "mariadb-install-db")
PACKAGES = ("slurmctld", "slurmd", "slurmdbd", "slurm-client", "munge", "mariadb-server")
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
TIMEOUT = 60  # s, for a daemon to answer

SLURM_CONF = """
ClusterName=bosscal
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[controller]}
SlurmdPort={ports[node]}
SlurmUser={user}
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmctldParameters=cloud_dns
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=2,batch_sched_delay=0,defer
JobRequeue=1
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[accounting]}
AccountingStoragePass={folder}/munge/socket
AccountingStoreFlags=job_comment
MinJobAge=600
KillWait=3
SlurmdTimeout=30
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
SLURMDBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={ports[accounting]}
SlurmUser={user}
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[database]}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""


def _lacking():
    return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]


def missing():
    """Why there can be no cluster here; "" if there can. Packages of Debian are installed where that is possible."""
    if os.geteuid() != 0:
        return "SLURM's daemons are started as root"
    if not _lacking():
        return ""
    if shutil.which("apt-get") is None:
        return f"no {', '.join(_lacking())}, and no apt-get to install {' '.join(PACKAGES)}"
    return _install()


def _install():
    """Install what is lacking, and start none of it; returns why that failed."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Debian asks this script whether a package's daemons may be started: only those of the test's cluster are.
    policy, allowed = Path("/usr/sbin/policy-rc.d"), True
    try:
        with open(policy, "x", encoding="ascii") as script:
            script.write("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    except OSError:
        allowed = False  # there is one already, whose word counts
    try:
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            command = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=120", *arguments]
            process = subprocess.run(
                command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            )
            if process.returncode:
                words = " ".join(process.stdout.split()[-40:])
                return f"no {', '.join(_lacking())}, and apt-get {arguments[0]} fails: {words}"
    finally:
        if allowed:
            policy.unlink()
    lacking = _lacking()
    return f"no {', '.join(lacking)} in {' '.join(PACKAGES)}" if lacking else ""


def _free_ports(names):
    """A free port of loopback for each name."""
    sockets = {name: socket.socket() for name in names}
    for each in sockets.values():
        each.bind(("127.0.0.1", 0))
    ports = {name: each.getsockname()[1] for name, each in sockets.items()}
    for each in sockets.values():
        each.close()
    return ports


class Cluster:
    """The daemons, in the order in which each needs those before it."""

    def __init__(self, folder, cores=2):
        self.folder = Path(folder).resolve()
        self.host = socket.gethostname().partition(".")[0]
        self._daemons = {}
        for name in ("", "bin", "munge", "state", "spool", "database"):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o755)
        (self.folder / "munge").chmod(0o711)
        self._ports = _free_ports(("controller", "node", "accounting", "database"))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 9 // 10
        facts = {
            "folder": self.folder, "host": self.host, "ports": self._ports, "user": getpass.getuser(), "cores": cores,
            "memory": memory,
        }  # fmt: skip
        # A job's step forgets SLURM's variables, and would look for a cluster of this machine.
        step = self.folder / "bin" / "srun"
        step.write_text(f'#!/bin/sh\nexport SLURM_CONF="{self.folder}/slurm.conf"\nexec /usr/bin/srun "$@"\n')
        step.chmod(0o755)
        for name, text in (("slurm.conf", SLURM_CONF), ("slurmdbd.conf", SLURMDBD_CONF)):
            (self.folder / name).write_text(text.format(**facts))
            (self.folder / name).chmod(0o600 if name == "slurmdbd.conf" else 0o644)

    @property
    def environment(self):
        """Variables with which SLURM's commands ask this cluster."""
        path = f"{self.folder / 'bin'}{os.pathsep}{PATH}"
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def call(self, *command, check=True):
        """Run one of SLURM's commands; returns what it prints."""
        process = subprocess.run(
            list(map(str, command)),
            env=os.environ | self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if check and process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {process.stdout}")
        return process.stdout

    def start_daemon(self, name):
        """Start one of the daemons in the foreground, as a process of its own."""
        munge, database = self.folder / "munge", self.folder / "database"
        command = {
            "munged": [
                "munged", "--foreground", "--force", f"--key-file={munge}/key", f"--socket={munge}/socket",
                f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed",
            ],
            "mariadbd": [
                "mariadbd", "--no-defaults", f"--user={getpass.getuser()}", f"--datadir={database}",
                f"--port={self._ports['database']}", "--bind-address=127.0.0.1", f"--socket={database}/socket",
                f"--pid-file={database}/pid", "--innodb-buffer-pool-size=64M",
            ],
            "slurmdbd": ["slurmdbd", "-D"],
            "slurmctld": ["slurmctld", "-D"],
            "slurmd": ["slurmd", "-D"],
        }[name]  # fmt: skip
        # slurmdbd looks for its own file beside slurm.conf
        with open(self.folder / f"{name}.out", "ab") as output:
            self._daemons[name] = subprocess.Popen(
                command, env=os.environ | self.environment, stdout=output, stderr=output, start_new_session=True
            )

    def stop_daemon(self, name):
        """End one of the daemons and wait for it."""
        process = self._daemons.pop(name)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, name, ready):
        end = time.monotonic() + TIMEOUT
        while not ready():
            process = self._daemons[name]
            if process.poll() is not None or time.monotonic() > end:
                output = (self.folder / f"{name}.out").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{name} does not answer: {output}")
            time.sleep(0.2)

    def start(self):
        """Start all daemons and wait until the node takes jobs."""
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self.start_daemon("munged")
        self._wait("munged", (self.folder / "munge" / "socket").exists)
        subprocess.run(
            [
                shutil.which("mariadb-install-db", path=PATH), "--no-defaults", f"--datadir={self.folder}/database",
                f"--user={getpass.getuser()}", "--auth-root-authentication-method=normal", "--skip-test-db",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        self.start_daemon("mariadbd")
        client = ["mariadb", "--no-defaults", f"--socket={self.folder}/database/socket", "--user=root", "--execute"]

        def database_answers():
            return subprocess.run([*client, "select 1"], capture_output=True, check=False).returncode == 0

        self._wait("mariadbd", database_answers)
        grants = "create database slurm; grant all on slurm.* to 'slurm'@'%' identified by 'slurm';"
        subprocess.run([*client, grants], check=True, capture_output=True)
        self.start_daemon("slurmdbd")
        self._wait("slurmdbd", lambda: "bosscal" in self._cluster_known())
        self.call("sacctmgr", "-i", "add", "account", "bosscal", "Cluster=bosscal", check=False)
        self.call("sacctmgr", "-i", "add", "user", getpass.getuser(), "Account=bosscal", check=False)
        self.start_daemon("slurmctld")
        self._wait("slurmctld", lambda: "UP" in self.call("scontrol", "ping", check=False))
        self.start_daemon("slurmd")
        self._wait("slurmd", lambda: "idle" in self.call("sinfo", "--noheader", "-o", "%t", check=False))

    def _cluster_known(self):
        self.call("sacctmgr", "-i", "add", "cluster", "bosscal", check=False)
        return self.call("sacctmgr", "--noheader", "list", "cluster", check=False)

    def stop(self):
        """End all daemons, and the jobs that are left."""
        if "slurmctld" in self._daemons:
            self.call("scancel", f"--user={getpass.getuser()}", check=False)
        for name in reversed(list(self._daemons)):
            self.stop_daemon(name)

    def drain(self):
        """Let the node take no more jobs."""
        self.call("scontrol", "update", f"NodeName={self.host}", "State=DRAIN", "Reason=test")

    def resume(self):
        """Let the node take jobs again."""
        self.call("scontrol", "update", f"NodeName={self.host}", "State=RESUME")

    def restart_controller(self):
        """Stop the controller, as a failure or an update does, and start it again."""
        self.stop_daemon("slurmctld")
        time.sleep(1)
        self.start_daemon("slurmctld")
        self._wait("slurmctld", lambda: "UP" in self.call("scontrol", "ping", check=False))

    def steps(self):
        """Names of the steps that run within jobs."""
        found = self.call("squeue", "--steps", "--noheader", "-o", "%i", check=False).split()
        return [name for name in found if not name.endswith((".batch", ".extern"))]

    def jobs(self, state=""):
        """Numbers of the jobs that wait or run, or of those in a state."""
        options = [f"--states={state}"] if state else []
        return self.call("squeue", "--noheader", "-o", "%i", *options).split()


@contextmanager
def running(folder, cores=2):
    """A cluster that is stopped at the end, whatever happens."""
    cluster = Cluster(folder, cores)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def main():
    """Start a cluster for use by hand."""
    if reason := missing():
        sys.exit(reason)
    with running(sys.argv[1], os.cpu_count() or 1) as cluster:
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']} PATH={cluster.folder}/bin:$PATH")
        print("runs until the input ends (Ctrl-D)", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
