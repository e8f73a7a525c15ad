"""What to do next, from the state of the loop. No database here: whoever asks brings the facts."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

SHOWN = 5


@dataclass(frozen=True)
class Place:
    """A data set, study or job where something waits. ``count``: how much; ``have`` of ``need`` where people lack."""

    name: str
    href: str
    count: int = 1
    have: int = 0
    need: int = 0


@dataclass(frozen=True)
class Facts:
    """The state of the loop, most pressing places first. ``import_href`` leads to a new import."""

    import_href: str
    datasets: int = 0
    failed: tuple[Place, ...] = ()  # jobs; the count is of the places
    proposals: tuple[Place, ...] = ()  # data sets with instructions to review
    bare: tuple[Place, ...] = ()  # data sets with cases that have no candidate
    aside: tuple[Place, ...] = ()  # data sets with outputs set aside that nobody has looked at
    unasked: tuple[Place, ...] = ()  # data sets with candidates and no study
    short: tuple[Place, ...] = ()  # open studies with fewer annotators than every unit needs
    waiting: tuple[Place, ...] = ()  # open studies with answers still to give
    uncalibrated: tuple[Place, ...] = ()  # studies with scores by people that no calibration uses
    unlabelled: tuple[Place, ...] = ()  # studies with rankings that no training set has
    untrained: tuple[Place, ...] = ()  # training sets without a reward model; the count is of their groups
    unused: tuple[Place, ...] = ()  # training sets with a reward model, while no editor was ever trained
    unproven: tuple[Place, ...] = ()  # trained editors that people have not been shown blind
    unexported: tuple[Place, ...] = ()  # finished studies that were never exported
    unseen: tuple[Place, ...] = ()  # data sets with source images that have no category


@dataclass(frozen=True)
class Step:
    """One sentence, and a link named ``action``."""

    key: str
    text: str
    action: str
    href: str


def steps(facts: Facts) -> list[Step]:
    """At most SHOWN steps, each kind at most once.

    First what is broken, then in the order in which data flows. Categories come last: they make a better set, but
    nothing waits for them.
    """
    found = [
        _failed(facts.failed),
        _import(facts),
        _proposals(facts.proposals),
        _bare(facts.bare),
        _aside(facts.aside),
        _unasked(facts.unasked),
        _short(facts.short),
        _waiting(facts.waiting),
        _uncalibrated(facts.uncalibrated),
        _unlabelled(facts.unlabelled),
        _untrained(facts.untrained),
        _unused(facts.unused),
        _unproven(facts.unproven),
        _unexported(facts.unexported),
        _unseen(facts.unseen),
    ]
    return [step for step in found if step][:SHOWN]


def _named(places: tuple[Place, ...]) -> dict[str, object]:
    """The first place for a sentence. ``more``: how many others there are, in words, or nothing."""
    more, first = len(places) - 1, places[0]
    others = ngettext(" (%(n)d more like this)", " (%(n)d more like this)", more) % {"n": more} if more else ""
    return {"name": first.name, "n": first.count, "have": first.have, "need": first.need, "more": others}


def _failed(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = ngettext(
        "A job failed in the last day: “%(name)s”.",
        "%(jobs)d jobs failed in the last day, the newest is “%(name)s”.",
        len(places),
    )
    return Step("failed", words % {**_named(places), "jobs": len(places)}, _("Look, then resume"), places[0].href)


def _import(facts: Facts) -> Step | None:
    if facts.datasets:
        return None
    return Step("import", _("There is no data set yet."), _("Import one"), facts.import_href)


def _proposals(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = ngettext(
        "%(n)d proposed instruction in “%(name)s” waits for a person%(more)s.",
        "%(n)d proposed instructions in “%(name)s” wait for a person%(more)s.",
        places[0].count,
    )
    return Step("proposals", words % _named(places), _("Review"), places[0].href)


def _bare(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = ngettext(
        "%(n)d case in “%(name)s” has no candidate%(more)s.",
        "%(n)d cases in “%(name)s” have no candidates%(more)s.",
        places[0].count,
    )
    return Step("generate", words % _named(places), _("Make candidates"), places[0].href)


def _aside(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = ngettext(
        "%(n)d output in “%(name)s” was set aside and nobody has looked at it%(more)s.",
        "%(n)d outputs in “%(name)s” were set aside and nobody has looked at them%(more)s.",
        places[0].count,
    )
    return Step("aside", words % _named(places), _("Look at them"), places[0].href)


def _unasked(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = _("The candidates of “%(name)s” are in no study%(more)s.")
    return Step("study", words % _named(places), _("Make a study"), places[0].href)


def _short(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = ngettext(
        "“%(name)s” needs %(need)d annotator and has %(have)d%(more)s.",
        "“%(name)s” needs %(need)d annotators and has %(have)d%(more)s.",
        places[0].need,
    )
    return Step("invite", words % _named(places), _("Invite"), places[0].href)


def _waiting(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = ngettext(
        "“%(name)s” waits for %(n)d more answer%(more)s.",
        "“%(name)s” waits for %(n)d more answers%(more)s.",
        places[0].count,
    )
    return Step("answers", words % _named(places), _("See who is on it"), places[0].href)


def _uncalibrated(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = _("People have scored edits in “%(name)s”, and no scorer is calibrated against them%(more)s.")
    return Step("calibrate", words % _named(places), _("Calibrate"), places[0].href)


def _unlabelled(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = _("People have ranked edits in “%(name)s”, and no training set has their rankings%(more)s.")
    return Step("label", words % _named(places), _("Make a training set"), places[0].href)


def _untrained(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = ngettext(
        "“%(name)s” has %(n)d ranked group, and no reward model was trained on it%(more)s.",
        "“%(name)s” has %(n)d ranked groups, and no reward model was trained on them%(more)s.",
        places[0].count,
    )
    return Step("train", words % _named(places), _("Train a reward model"), places[0].href)


def _unused(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = _("A reward model was trained on “%(name)s”, and no editor was trained with a reward%(more)s.")
    return Step("posttrain", words % _named(places), _("Post-train an editor"), places[0].href)


def _unproven(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = _("Nobody has compared “%(name)s” with its base yet, blind%(more)s.")
    return Step("prove", words % _named(places), _("Show people"), places[0].href)


def _unexported(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = _("“%(name)s” is finished and was never exported%(more)s.")
    return Step("export", words % _named(places), _("Export"), places[0].href)


def _unseen(places: tuple[Place, ...]) -> Step | None:
    if not places:
        return None
    words = ngettext(
        "%(n)d source image in “%(name)s” has no category%(more)s.",
        "%(n)d source images in “%(name)s” have no category%(more)s.",
        places[0].count,
    )
    return Step("categories", words % _named(places), _("Categorise"), places[0].href)
