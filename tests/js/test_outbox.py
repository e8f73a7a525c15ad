"""Events reach the server exactly once, in order, or stay in the browser and say so."""

from typing import Any

# A box over a storage of its own with a server that answers by a script; each entry is an outcome of `post`.
BOX = """(async () => {
  const { script, events } = x;
  const storage = (() => {
    const map = new Map();
    return {
      get length() { return map.size; },
      key: (n) => [...map.keys()][n],
      getItem: (k) => map.get(k) ?? null,
      setItem: (k, v) => map.set(k, v),
      removeItem: (k) => map.delete(k),
    };
  })();
  const sent = [];
  const words = [];
  const send = async (batch) => {
    sent.push(batch.map(({ key }) => key));
    const step = script.shift() ?? 'save';
    if (step === 'save') return { ok: true, data: { saved: batch.map(({ key }) => key), refused: [] } };
    if (step === 'nothing') return { ok: true, data: {} };
    if (step.refuse) {
      const bad = batch.filter(({ key }) => key === step.refuse).map(({ key }) => ({ key, error: step.error }));
      const saved = batch.map(({ key }) => key).filter((key) => key !== step.refuse);
      return { ok: true, data: { saved, refused: bad } };
    }
    return { ok: false, ...step };
  };
  const options = { prefix: 'box.7.study', send, storage, firstRetry: 1 };
  const box = new m.Outbox({ ...options, onChange: () => words.push(box?.status) });
  for (const event of events) box.add(event);
  const end = Date.now() + 3000;
  while (box.queue.length && !box.signedOut && Date.now() < end) await new Promise((go) => setTimeout(go, 2));
  await new Promise((go) => setTimeout(go, 5));
  const again = new m.Outbox(options);
  return {
    sent, words, status: box.status, left: box.queue.map(({ event }) => event.key), kept: storage.length,
    refused: box.refused.map(({ event, error }) => ({ key: event.key, error })),
    reloaded: again.queue.map(({ event }) => event.key), reloadedRefused: again.refused.length,
  };
})()"""


def events(*keys: str) -> list[dict[str, Any]]:
    return [
        {"key": key, "assignment": "one", "seq": index, "kind": "score", "data": {}} for index, key in enumerate(keys)
    ]


def run(js: Any, script: list[Any], *keys: str) -> Any:
    return js("outbox.js", f"await {BOX}", {"script": script, "events": events(*keys)})


UNREACHABLE = {"reason": "unreachable"}


def test_it_works(js: Any) -> None:
    found = run(js, [], "a", "b", "c")
    assert [key for batch in found["sent"] for key in batch] == ["a", "b", "c"]
    assert found["status"] == "saved"
    assert found["kept"] == 0


def test_a_server_that_is_down_three_times_gets_each_event_once_in_order(js: Any) -> None:
    found = run(js, [UNREACHABLE] * 3, "a", "b")
    assert found["sent"] == [["a"], ["a", "b"], ["a", "b"], ["a", "b"]]
    assert found["status"] == "saved"
    first = found["words"].index("saved")
    assert "retrying" in found["words"][:first]


def test_never_saved_before_the_server_has_said_so(js: Any) -> None:
    found = run(js, [{"reason": "signed-out", "error": None}], "a")
    assert "saved" not in found["words"]


def test_a_refused_event_is_kept_with_its_sentence_and_not_sent_again(js: Any) -> None:
    found = run(js, [{"refuse": "a", "error": "The scale goes from 1 to 5."}], "a", "b")
    assert [key for batch in found["sent"] for key in batch].count("a") == 1
    assert found["refused"] == [{"key": "a", "error": "The scale goes from 1 to 5."}]
    assert found["left"] == []
    assert found["reloadedRefused"] == 1


def test_where_a_whole_batch_is_refused_only_the_bad_event_is_given_up(js: Any) -> None:
    refusal = {"reason": "refused", "error": "The request could not be read."}
    found = run(js, [UNREACHABLE, refusal, refusal], "a", "b", "c")
    assert found["refused"] == [{"key": "a", "error": "The request could not be read."}]
    assert found["sent"][-2:] == [["b"], ["c"]]
    assert found["status"] == "saved"


def test_signed_out_keeps_the_queue_and_stops_sending(js: Any) -> None:
    found = run(js, [{"reason": "signed-out", "error": "You are signed out."}], "a", "b")
    assert found["status"] == "signed-out"
    assert found["left"] == ["a", "b"]
    assert len(found["sent"]) == 1
    assert found["reloaded"] == ["a", "b"]


def test_an_answer_that_names_no_event_is_not_taken_for_saved(js: Any) -> None:
    found = run(js, ["nothing"], "a")
    assert found["sent"] == [["a"], ["a"]]
    assert found["status"] == "saved"


def test_two_boxes_over_one_storage_lose_and_overwrite_nothing(js: Any) -> None:
    two = """(async () => {
      localStorage.clear();
      const never = async () => ({ ok: false, reason: 'unreachable' });
      const [one, two] = [1, 2].map(() => new m.Outbox({ prefix: 'twice', send: never, firstRetry: 100000 }));
      for (let n = 0; n < 5; n += 1) {
        one.add({ key: `one${n}`, assignment: 'a', kind: 'score' });
        two.add({ key: `two${n}`, assignment: 'a', kind: 'score' });
      }
      const saved = [];
      const send = async (batch) => {
        const keys = batch.map(({ key }) => key);
        saved.push(...keys);
        return { ok: true, data: { saved: keys } };
      };
      const third = new m.Outbox({ prefix: 'twice', send });
      await third.settle();
      return { saved, left: localStorage.length };
    })()"""
    found = js("outbox.js", f"await {two}")
    assert sorted(found["saved"]) == sorted([f"{name}{n}" for name in ("one", "two") for n in range(5)])
    assert found["left"] == 0


def test_the_queues_of_two_people_and_of_two_studies_are_apart(js: Any) -> None:
    other = """(() => {
      localStorage.clear();
      const send = () => new Promise(() => {});
      new m.Outbox({ prefix: 'editloop.outbox.7.s1', send }).add({ key: 'a', assignment: 'x', kind: 'score' });
      const names = ['editloop.outbox.8.s1', 'editloop.outbox.7.s2', 'editloop.outbox.7.s1'];
      return names.map((prefix) => new m.Outbox({ prefix, send }).queue.length);
    })()"""
    assert js("outbox.js", other) == [0, 0, 1]


def test_a_full_storage_is_said_and_the_event_is_still_sent(js: Any) -> None:
    full = """(async () => {
      const full = () => { throw new Error('full'); };
      const storage = { length: 0, key: () => null, getItem: () => null, setItem: full, removeItem: () => {} };
      const send = async (batch) => ({ ok: true, data: { saved: batch.map(({ key }) => key) } });
      const box = new m.Outbox({ prefix: 'full', send, storage });
      box.add({ key: 'a', assignment: 'x', kind: 'score' });
      return [box.kept, await box.settle(), box.status];
    })()"""
    assert js("outbox.js", f"await {full}") == [False, True, "saved"]
