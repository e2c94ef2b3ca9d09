"""A kubeconfig -> how to reach its cluster and be admitted there, as kubectl does: certificates, tokens, plugins.

Kubernetes' own client reads them too, and is 75 MB: five times what crewctl installs beside a redis-server.
"""

import base64
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from crewctl.errors import ClusterError

PLUGIN_SECONDS = 60.0
"""For a credential plugin; five times that where it may ask a person."""
PLUGIN_BYTES = 1 << 20
"""Of its answer, which is a token or a certificate."""
EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Access:
    """Where an API server is and how to be admitted."""

    server: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    """None: the server speaks plain HTTP."""


@dataclass(frozen=True)
class _Credentials:
    """Who the user is: PEM texts, and what goes into the Authorization header."""

    authorization: str = field(default="", repr=False)
    certificate: str = ""
    key: str = field(default="", repr=False)


def access(path: Path) -> Access:
    """Of the current context; runs its credential plugin. Raises ClusterError when that is no cluster one can ask."""
    try:
        config = _read(path)
        context = _named(config, "context", str(config.get("current-context") or ""))
        cluster = _named(config, "cluster", str(context.get("cluster") or ""))
        user = _named(config, "user", str(context["user"])) if context.get("user") else {}
        server = str(cluster["server"]).rstrip("/")
        credentials = _credentials(user, path.parent)
        headers = {"Authorization": credentials.authorization} if credentials.authorization else {}
        tls = _tls(cluster, credentials, path.parent) if server.startswith("https:") else None
    except KeyError as error:
        raise ClusterError(f"{path} names no cluster that can be asked: there is no {error}") from error
    except (ClusterError, OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ClusterError(f"{path} names no cluster that can be asked: {error}") from error
    return Access(server, headers, tls)


def namespace_of(path: Path) -> str:
    """Of its current context; `default` when that names none. Raises ClusterError when it is no kubeconfig."""
    try:
        config = _read(path)
        contexts = {one["name"]: one.get("context") or {} for one in config.get("contexts") or ()}
        return str((contexts.get(config.get("current-context")) or {}).get("namespace") or "default")
    except (KeyError, OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ClusterError(f"{path} is no kubeconfig: {error}") from error


def _read(path: Path) -> Section:
    found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(found, dict):
        raise ValueError("it is no map")  # noqa: TRY004 - of the file's content, as all else here
    return found


def _named(config: Section, kind: str, name: str) -> Section:
    for one in config.get(f"{kind}s") or ():
        if one["name"] == name:
            found: Section = one.get(kind) or {}
            return found
    raise ClusterError(f"it has no {kind} {name!r}" if name else f"it names no {kind}")


def _pem(section: Section, name: str, folder: Path) -> str:
    """What it gives itself goes before a file that it names; empty when it gives neither."""
    if section.get(f"{name}-data"):
        return base64.b64decode(section[f"{name}-data"], validate=True).decode()
    return (folder / section[name]).read_text() if section.get(name) else ""


def _credentials(user: Section, folder: Path) -> _Credentials:
    if user.get("auth-provider"):
        raise ClusterError(
            "its user has an auth-provider, which Kubernetes has given up: use the vendor's plugin (exec)"
        )
    certificate, key = _pem(user, "client-certificate", folder), _pem(user, "client-key", folder)
    if user.get("tokenFile"):
        return _Credentials(_bearer((folder / user["tokenFile"]).read_text().strip()), certificate, key)
    if user.get("token"):
        return _Credentials(_bearer(str(user["token"])), certificate, key)
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password') or ''}"
        return _Credentials(f"Basic {base64.b64encode(pair.encode()).decode()}", certificate, key)
    if user.get("exec") and not certificate:
        return _ask_plugin(user["exec"], folder)
    return _Credentials("", certificate, key)


def _bearer(token: str) -> str:
    if not token.isascii() or not token.isprintable():
        raise ValueError("the token is not of printable ASCII")
    return f"Bearer {token}"


def _ask_plugin(plugin: Section, folder: Path) -> _Credentials:
    """client.authentication.k8s.io: it prints an ExecCredential."""
    version, command = plugin.get("apiVersion"), str(plugin["command"])
    if version not in EXEC_VERSIONS:
        raise ClusterError(f"the plugin {command} speaks {version}, and not {' or '.join(EXEC_VERSIONS)}")
    mode = plugin.get("interactiveMode") or "IfAvailable"
    asks = mode != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if mode == "Always" and not asks:
        raise ClusterError(f"the plugin {command} has to ask somebody, and there is no terminal")
    # As kubectl: a name is looked for on the PATH, a path is the kubeconfig's own.
    program = str(folder / command) if "/" in command else shutil.which(command)
    if program is None or not Path(program).exists():
        raise ClusterError(f"the plugin {command} is not there. {plugin.get('installHint') or ''}".strip())
    spec = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": asks}}
    given = {str(one["name"]): str(one["value"]) for one in plugin.get("env") or ()}
    environment = {**os.environ, **given, "KUBERNETES_EXEC_INFO": json.dumps(spec)}
    # What it prints goes to a file, of which only so much is read: a plugin that never ends to speak fills no memory.
    seconds = PLUGIN_SECONDS * (5 if asks else 1)
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                [program, *map(str, plugin.get("args") or ())],
                env=environment,
                stdin=None if asks else subprocess.DEVNULL,
                stdout=output,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"the plugin {command} has said nothing in {seconds:g} s") from error
        output.seek(0)
        said = output.read(PLUGIN_BYTES + 1)
    if done.returncode:
        raise ClusterError(f"the plugin {command} has ended with {done.returncode}")
    if len(said) > PLUGIN_BYTES:
        raise ClusterError(f"the plugin {command} has said more than {PLUGIN_BYTES} bytes")
    return _told(json.loads(said)["status"])


def _told(status: Section) -> _Credentials:
    token = str(status.get("token") or "")
    return _Credentials(
        _bearer(token) if token else "",
        str(status.get("clientCertificateData") or ""),
        str(status.get("clientKeyData") or ""),
    )


def _tls(cluster: Section, credentials: _Credentials, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_pem(cluster, "certificate-authority", folder) or None)
    # Python 3.13 asks a CA for extensions that many clusters' lack. Chain and name are verified as ever.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if credentials.certificate:
        # Python takes a certificate from a file only; a temporary folder is its owner's alone.
        with tempfile.TemporaryDirectory() as made:
            both = Path(made, "pem")
            both.write_text(f"{credentials.certificate}\n{credentials.key}\n")
            context.load_cert_chain(both)
    return context
