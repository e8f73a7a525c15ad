"""What every part leans on: settings from the environment, the cache, paging, health, errors in the user's words."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.installation import Installation, an_installation  # noqa: F401  # a fixture
from webapp import environ
from webapp.accounts.models import User
from webapp.core.cache import JSONSerializer
from webapp.core.paging import Page, page_of
from webapp.dashboard import queries

ROOT = Path(__file__).resolve().parents[1]

# The environment -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("", "/data/var/editloop.sqlite3"),
        ("sqlite:////data/my.sqlite3", "/data/my.sqlite3"),
        ("sqlite:///my.sqlite3", "my.sqlite3"),
        ("sqlite://", ":memory:"),
    ],
)
def test_sqlite(url: str, name: str) -> None:
    found = environ.database(url, Path("/data/var"))
    assert (found["ENGINE"], found["NAME"]) == ("webapp.core.sqlite", name)
    assert found["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in found["OPTIONS"]["init_command"]


@pytest.mark.parametrize("folder", ["/data/a#b", "/data/50%", "/data/what?", "/data/two words", "/data/a%20b"])
def test_a_folder_of_any_name_holds_the_database(folder: str) -> None:
    assert environ.database("", Path(folder))["NAME"] == f"{folder}/editloop.sqlite3"


def test_postgresql() -> None:
    url = "postgresql://al:p%40ss%2Fw%3Ard@db.example:5433/edit%20loop?sslmode=require&connect_timeout=3"
    found = environ.database(url, Path("/data"))
    assert found["ENGINE"] == "django.db.backends.postgresql"
    names = ("NAME", "USER", "PASSWORD", "HOST", "PORT")
    assert [found[name] for name in names] == ["edit loop", "al", "p@ss/w:rd", "db.example", "5433"]
    assert found["OPTIONS"] == {"sslmode": "require", "connect_timeout": "3"}
    assert found["CONN_HEALTH_CHECKS"]


def test_postgresql_by_a_socket_and_with_little_said() -> None:
    found = environ.database("postgres:///loop?host=/run/postgresql&port=5433", Path("/data"))
    assert (found["NAME"], found["HOST"], found["PORT"], found["OPTIONS"]) == ("loop", "/run/postgresql", "5433", {})
    assert (found["USER"], found["PASSWORD"]) == ("", "")


@pytest.mark.parametrize(
    "url", ["mysql://u@h/n", "editloop.sqlite3", "postgresql+psycopg://h/n", "postgres://h:port/n"]
)
def test_databases_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL"):
        environ.database(url, Path("/data"))


def test_flags_and_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDITLOOP_X", raising=False)
    assert (environ.flag("EDITLOOP_X"), environ.flag("EDITLOOP_X", True)) == (False, True)
    for text, value in {"1": True, " Yes ": True, "on": True, "0": False, "off": False, "": False}.items():
        monkeypatch.setenv("EDITLOOP_X", text)
        assert environ.flag("EDITLOOP_X", not value) is value, text
    monkeypatch.setenv("EDITLOOP_X", " a.example ,, b.example,")
    assert environ.words("EDITLOOP_X") == ["a.example", "b.example"]


@pytest.fixture
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDITLOOP_SECRET_KEY", raising=False)


@pytest.mark.usefixtures("_no_key")
def test_the_secret_key_is_made_once_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    var = tmp_path / "new" / "var"
    old = os.umask(0)
    try:
        key = environ.secret_key(var)
    finally:
        os.umask(old)
    assert len(key) >= 50
    assert environ.secret_key(var) == key == (var / "secret_key").read_text()
    assert stat.S_IMODE((var / "secret_key").stat().st_mode) == 0o600
    assert environ.secret_key(tmp_path / "other") != key
    monkeypatch.setenv("EDITLOOP_SECRET_KEY", "given")
    assert environ.secret_key(var) == "given"


@pytest.mark.usefixtures("_no_key")
def test_a_key_file_that_a_full_disk_left_empty_is_filled(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch(0o600)
    key = environ.secret_key(tmp_path)
    assert len(key) >= 50
    assert environ.secret_key(tmp_path) == key


@pytest.mark.usefixtures("_no_key")
def test_programs_that_start_together_have_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from webapp import environ; print(environ.secret_key(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    keys = {process.communicate(timeout=60)[0].strip() for process in started}
    assert len(keys) == 1
    assert len(keys.pop()) >= 50


# The cache -----------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(JSON)
def test_what_is_cached_comes_back(value: Any) -> None:
    kept = JSONSerializer().dumps(value)
    as_redis_gives_it = kept if isinstance(kept, bytes) else str(kept).encode()
    back = JSONSerializer().loads(as_redis_gives_it)
    assert back == value
    assert type(back) is type(value)


def test_the_cache_in_redis() -> None:
    for value in ({"a": [1, 2.5, None, "ü"]}, True, 7, "7", ""):
        cache.set("test:value", value, 10)
        back = cache.get("test:value")
        assert (back, type(back)) == (value, type(value))
    cache.set("test:count", 41, 10)
    assert cache.incr("test:count") == 42
    assert cache.get("test:nothing", "default") == "default"


def test_objects_are_not_cached() -> None:
    with pytest.raises(TypeError):
        cache.set("test:object", object())


# Paging --------------------------------------------------------------------------------------------------------------


def page(query: str = "", size: int = 3, newest_first: bool = True) -> Page:
    request = RequestFactory().get("/people/" + query)
    return page_of(request, User.objects.all(), size=size, newest_first=newest_first)


def ids(found: Page) -> list[int]:
    return [user.pk for user in found]


def make_users(count: int) -> list[int]:
    User.objects.all().delete()
    User.objects.bulk_create([User(username=f"u{number}") for number in range(count)])
    return list(User.objects.order_by("-id").values_list("pk", flat=True))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 13), size=st.integers(1, 6), newest_first=st.booleans())
def test_walking_forward_and_back_visits_every_row_once(db: None, count: int, size: int, newest_first: bool) -> None:
    expected = make_users(count)[:: 1 if newest_first else -1]
    pages = [page("", size, newest_first)]
    while pages[-1].next:
        pages.append(page(pages[-1].next, size, newest_first))
        assert len(pages) <= count + 1
    assert [pk for found in pages for pk in ids(found)] == expected
    assert all(len(found) == size for found in pages[:-1])
    back = [pages[-1]]
    while back[-1].previous:
        back.append(page(back[-1].previous, size, newest_first))
        assert len(back) <= len(pages)
    assert [ids(found) for found in back] == [ids(found) for found in pages[::-1]]
    assert (pages[0].previous, back[-1].previous) == ("", "")


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", "?before=", "?after=1e3", "?after=" + "9" * 40, "?after=٣"])
def test_a_key_that_is_no_number_means_the_first_page(db: None, query: str) -> None:
    keys = make_users(4)
    assert ids(page(query)) == keys[:3]


def test_rows_that_went_meanwhile_leave_no_empty_page(db: None) -> None:
    """The way back from a page leads to rows, also when those before it were deleted or there never were any."""
    keys = make_users(5)
    second = page(page().next)
    User.objects.filter(pk__gt=keys[2]).delete()
    assert ids(page(second.previous)) == [keys[2]]
    User.objects.filter(pk__gte=keys[2]).delete()
    assert ids(page(second.previous)) == ids(page(f"?after={keys[4]}")) == keys[3:]


def test_links_keep_the_rest_of_the_query(db: None) -> None:
    make_users(5)
    found = page("?task=add&after=999999&x=a%26b")
    assert found.next.startswith("?task=add&x=a%26b&after=")
    assert found.previous.startswith("?task=add&x=a%26b&before=")


def test_a_page_costs_one_query_however_many_rows_there_are(db: None, django_assert_num_queries: Any) -> None:
    make_users(40)
    with django_assert_num_queries(1):
        page(size=10)


# Health, figures, errors ---------------------------------------------------------------------------------------------


def test_health(client: Client, db: None) -> None:
    response = client.get("/health/")
    assert (response.status_code, response.content) == (200, b"ok")


def test_metrics_want_the_token(client: Client, db: None, settings: Any) -> None:
    def status(**headers: str) -> int:
        return client.get(reverse("metrics"), headers=headers).status_code

    assert status(Authorization="Bearer ") == 404
    settings.METRICS_TOKEN = "abc"
    assert [status(Authorization=given) for given in ("", "abc", "Bearer ab", "Bearer abcd", "Bearer é")] == [404] * 5
    response = client.get(reverse("metrics"), headers={"Authorization": "Bearer abc"})
    assert response["Content-Type"].startswith("text/plain")
    assert b'editloop_workers{queue="gpu"}' in response.content


SENTENCES = {
    400: "The request could not be read.",
    403: "Your role does not allow this.",
    404: "There is nothing here, or it is not yours to see.",
    500: "Something broke on our side.",
}


def broken() -> dict[str, Any]:
    raise RuntimeError("a secret detail")


def provoke(status: int, carol: User, alice: User, monkeypatch: pytest.MonkeyPatch, **headers: str) -> Any:
    client = Client(raise_request_exception=False)
    client.force_login(alice if status == 500 else carol)
    monkeypatch.setattr(queries, "overview", broken)
    headers = {**headers, "Host": "evil.example"} if status == 400 else headers
    return client.get("/nothing/here/" if status == 404 else reverse("overview"), headers=headers)


@pytest.mark.parametrize("status", SENTENCES)
def test_an_error_is_a_page_for_people_and_json_for_scripts(
    carol: Any, alice: Any, monkeypatch: pytest.MonkeyPatch, settings: Any, status: int
) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    told = provoke(status, carol, alice, monkeypatch)
    assert told.status_code == status
    assert told["Content-Type"].startswith("text/html")
    assert SENTENCES[status] in told.content.decode()
    assert "Editloop" in told.content.decode()
    assert "secret" not in told.content.decode()
    told = provoke(status, carol, alice, monkeypatch, Accept="application/json")
    assert told.status_code == status
    assert told.json()["error"].startswith(SENTENCES[status])


def test_a_page_that_is_too_old(alice: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert "This page is too old, or cookies are off." in client.post(reverse("people")).content.decode()
    told = client.post(reverse("people"), {}, content_type="application/json")
    assert (told.status_code, list(told.json())) == (403, ["error"])


def test_a_database_that_is_away_is_a_sentence(installation: Installation) -> None:
    told = installation.python(
        """
from django.test import Client
client = Client(raise_request_exception=False, headers={"Host": "localhost"})
client.cookies["sessionid"] = "a" * 32
answer = [(r.status_code, r.content.decode()) for r in map(client.get, ("/health/", "/overview/", "/nothing/"))]
""",
        DATABASE_URL="sqlite:////nowhere/editloop.sqlite3",
    )
    assert told[0] == [503, "The database does not answer."]
    for status, html in told[1:]:
        assert status == 500
        assert SENTENCES[500] in html


# Addresses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/editors/%00/", "/judges/a%00b/", "/prompts/%00/", "/drift/%00/", "/%00"])
def test_a_nul_in_an_address_finds_nothing(client: Client, bob: User, address: str) -> None:
    """PostgreSQL takes none in a text that is looked for."""
    client.force_login(bob)
    assert client.get(address).status_code == 404
