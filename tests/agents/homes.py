"""How to start each agent without an account: its settings, its command line, its environment.

    command(program, home, work, url) ──► (command line, environment) of one start

`home` is an empty folder that serves as the user's home, `work` a project, and `url` the stub of
the model's API (stub.py). Every agent gets an invalid key. Updates and telemetry are off.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Callable

from programs import Program

KEY = "sk-ant-nothing-0000000000000000000000"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Start = tuple[list, dict[str, str]]
_CODEX = """model = "gpt-5-codex"
model_provider = "stub"
check_for_update_on_startup = false
approval_policy = "on-request"
sandbox_mode = "read-only"
[model_providers.stub]
name = "stub"
base_url = "{url}/v1"
env_key = "STUB_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
[analytics]
enabled = false
[projects."{work}"]
trust_level = "trusted"
"""
_CONTINUE = """name: stub
version: 0.0.1
schema: v1
models:
  - name: stub
    provider: openai
    model: stub-model
    apiKey: nothing
    apiBase: {url}/v1
    roles: [chat]
"""


def write(path: str, content: object) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    pathlib.Path(path).write_text(text, encoding="utf-8")


def claude(home: str, work: str, url: str) -> Start:
    trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    state = {
        "hasCompletedOnboarding": True,
        "lastOnboardingVersion": "9.9.9",
        "theme": "dark",
        "numStartups": 50,
        "autoUpdates": False,
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
        "hasSeenTasksHint": True,
        "projects": {work: trusted},
    }
    # Otherwise a dialog offers auto mode one second after the composer is shown.
    permissions = {"defaultMode": "default", "disableAutoMode": "disable"}
    write(f"{home}/claude/.claude.json", state)
    settings = {"model": "sonnet", "permissions": permissions, "promptSuggestionEnabled": True}
    write(f"{home}/claude/settings.json", settings)
    return [], {
        "CLAUDE_CONFIG_DIR": f"{home}/claude",
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": url,
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "CLAUDE_CODE_ENABLE_PROMPT_SUGGESTION": "true",  # faint text in an empty composer
        "IS_SANDBOX": "1",
    }


def claude_main(home: str, work: str, url: str) -> Start:
    words, environment = claude(home, work, url)
    ours = {"CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN": "1", "CLAUDE_CODE_NATIVE_CURSOR": "1"}
    return words, {**environment, **ours}


def codex(home: str, work: str, url: str) -> Start:
    write(f"{home}/codex/config.toml", _CODEX.format(url=url, work=work))
    return [], {"CODEX_HOME": f"{home}/codex", "STUB_KEY": "nothing"}


def gemini(home: str, work: str, url: str) -> Start:
    general = {
        "disableAutoUpdate": True,
        "disableUpdateNag": True,
        "enableAutoUpdate": False,
        "enableAutoUpdateNotification": False,
    }
    settings = {
        "security": {
            "auth": {"selectedType": "gemini-api-key"},
            "folderTrust": {"enabled": True},
        },
        "general": general,
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "ide": {"hasSeenNudge": True},
        "ui": {"hideTips": True},
    }
    write(f"{home}/.gemini/settings.json", settings)
    write(f"{home}/.gemini/trustedFolders.json", {work: "TRUST_FOLDER"})
    return [], {
        "GEMINI_API_KEY": "nothing",
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_CLI_NO_RELAUNCH": "true",
    }


def aider(home: str, work: str, url: str) -> Start:
    """aider needs a repository, and a file in it that the model can name (the stub's STUB-FILE)."""
    write(f"{work}/touched.txt", "a note\n")
    git = ["git", "-C", work, "-c", "user.name=stub", "-c", "user.email=stub@localhost"]
    for words in ("init -q", "add .", "commit -q -m x"):
        subprocess.run([*git, *words.split()], check=True, env={"PATH": PATH, "HOME": home})
    switches = "auto-commits dirty-commits gitignore check-update show-model-warnings"
    switches += " show-release-notes browser detect-urls"
    words = [f"--no-{word}" for word in switches.split()]
    words += ["--analytics-disable", "--map-tokens", "0", "--model", "openai/stub-model"]
    words += ["--openai-api-base", f"{url}/v1", "--openai-api-key", "nothing"]
    # Otherwise litellm downloads its cost map from a host on the Internet.
    return words, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def copilot(home: str, work: str, url: str) -> Start:
    trusted = {"trusted_folders": [work], "trustedFolders": [work], "banner": "never"}
    write(f"{home}/.copilot/config.json", trusted)
    return [], {
        "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
        "COPILOT_PROVIDER_API_KEY": "nothing",
        "COPILOT_PROVIDER_TYPE": "openai",
        "COPILOT_MODEL": "stub-model",
        "COPILOT_OFFLINE": "true",
        "COPILOT_AUTO_UPDATE": "false",
    }


def opencode(home: str, work: str, url: str) -> Start:
    model = {"name": "Stub Model", "limit": {"context": 200000, "output": 8000}}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Stub",
        "options": {"baseURL": f"{url}/v1", "apiKey": "nothing"},
        "models": {"stub-model": model},
    }
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "model": "stub/stub-model",
        "small_model": "stub/stub-model",
        "permission": {"bash": "ask", "edit": "ask"},
        "provider": {"stub": provider},
    }
    write(f"{home}/.config/opencode/opencode.json", settings)
    return [], {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"}


def qwen(home: str, work: str, url: str) -> Start:
    settings = {
        "security": {"auth": {"selectedType": "openai"}, "folderTrust": {"enabled": False}},
        "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "ide": {"hasSeenNudge": True},
        "ui": {"hideTips": True},
        "model": {"name": "stub-model"},
        "tools": {"approvalMode": "default"},  # otherwise a model approves, not a person
    }
    write(f"{home}/.qwen/settings.json", settings)
    url = f"{url}/v1"
    return [], {"OPENAI_API_KEY": "nothing", "OPENAI_BASE_URL": url, "OPENAI_MODEL": "stub-model"}


def cn(home: str, work: str, url: str) -> Start:
    write(f"{home}/.continue/config.yaml", _CONTINUE.format(url=url))
    return ["--config", f"{home}/.continue/config.yaml"], {"CONTINUE_TELEMETRY_ENABLED": "0"}


STARTS: dict[str, Callable[[str, str, str], Start]] = {
    "claude": claude,
    "claude-main": claude_main,
    "codex": codex,
    "gemini": gemini,
    "aider": aider,
    "copilot": copilot,
    "opencode": opencode,
    "qwen": qwen,
    "cn": cn,
}


def command(program: Program, path: str, home: str, work: str, url: str) -> Start:
    """Return the command line and the environment to start `program`, installed at `path`."""
    words, environment = STARTS[program.name](home, work, url)
    place = {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8", "TERM": "screen-256color"}
    return [path, *words], {**place, **environment}
