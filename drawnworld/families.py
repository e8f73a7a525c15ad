"""What a good edit of the drawn world needs, as questions: each family is one question in several wordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drawnworld import truths
from drawnworld.edits import TASKS
from drawnworld.truths import Attempt

LOCAL = ("add", "remove", "swap", "color")
KEEPING = (*LOCAL, "background", "bokeh")  # the tasks that leave something as it is
IMPRESSION = "impression"  # the family that a judge falls back on where no question is asked


@dataclass(frozen=True, slots=True)
class Family:
    """One question. ``tasks``: where it can be asked. ``wordings``: the plainest first. ``unseen``: further ones, which
    no judge is trained with. ``truth``: the share of yes in the true answer, 0..1. ``fault``: yes is bad. ``useful``:
    whether the answer says anything of the edit."""

    key: str
    tasks: tuple[str, ...]
    truth: Callable[[Attempt], float]
    wordings: tuple[str, ...]
    unseen: tuple[str, ...]
    fault: bool = False
    useful: bool = True


GOOD = (
    Family(
        IMPRESSION,
        TASKS,
        truths.impression,
        (
            "Did picture B change in the way asked for?",
            "At a glance, does picture B look edited in the way asked for?",
            "Does picture B look as if the edit had been tried?",
            "Is there a visible change of the sort asked for?",
            "At first glance, has about as much changed as was asked for?",
            "Is picture B visibly different from picture A?",
            "Does the second picture look changed at first sight?",
        ),
        ("At a glance, did picture B change?", "Does picture B look changed in the way asked for?"),
    ),
    Family(
        "done",
        TASKS,
        truths.done,
        (
            "Was the instruction carried out?",
            "Does picture B show what the instruction asks for?",
            "Has the edit been done exactly as instructed?",
            'Was "{instruction}" carried out?',
            "Does picture B follow the instruction?",
            "Is the result what the instruction wanted?",
            "Was the instruction followed correctly?",
            "Did the editor do what it was told to do?",
            "Is the requested edit there in picture B, on the right object or area?",
            "Does the edited picture match the instruction?",
            "Does picture B show the requested edit?",
        ),
        ("Does the result follow the instruction exactly?", "Has the editor done what the instruction asks for?"),
    ),
    Family(
        "gone",
        ("remove", "swap"),
        truths.changed_as_asked,
        (
            "Is the object that the instruction names gone from picture B?",
            "Has the named object been removed?",
            "Is the old object gone?",
            "Has the object that should go disappeared from picture B?",
            "Was the right object taken away?",
            "Is the named object no longer there in picture B?",
            "Has the object named by the instruction vanished?",
            "Does picture B no longer show the object that was to go?",
            "Did the editor delete the named object?",
            "Is that object completely gone from picture B, with no part of it left?",
            "Has the object that the instruction wants removed really disappeared?",
        ),
        ("Has the named object disappeared?", "Is the object that was to go no longer in picture B?"),
    ),
    Family(
        "there",
        ("add", "swap"),
        truths.there,
        (
            "Is the asked object there in picture B?",
            "Does picture B show the new object?",
            "Has the new object appeared in picture B?",
            "Does the new object have the asked shape and colour?",
            "Can the object that was asked for be seen in picture B?",
            "Is the object that should come present in the edited picture?",
            "Was the requested object added?",
            "Is there a new object of the asked kind and colour?",
            "Did the asked object turn up anywhere in picture B?",
            "Is the new object what the instruction names, in kind and colour?",
        ),
        ("Can the new object be seen in picture B?", "Is the requested object present in picture B?"),
    ),
    Family(
        "place",
        ("add",),
        truths.in_place,
        (
            "Does the new object stand at the asked place?",
            "Is the new object at the asked place?",
            "Is the object in the corner that the instruction names?",
            "Was the object put where the instruction says?",
            "Is the added object in the right corner?",
            "Is the position of the new object right?",
            "Does the added object stand where it was asked for?",
            "Did the editor place the object in the right corner?",
            "Is the new object where the instruction puts it?",
        ),
        ("Is the added object at the right place?", "Does the new object stand where the instruction says?"),
    ),
    Family(
        "colour",
        ("color",),
        truths.changed_as_asked,
        (
            "Has the named object the asked colour?",
            "Does the named object have the asked colour in picture B?",
            "Is the object that the instruction names in the colour asked for?",
            "Has the right object been given the new colour?",
            "Was the named object painted in the new colour?",
            "Is the new colour of the object the one that was asked for?",
            "Did the named object take on the requested colour?",
            "Is the right object recoloured?",
            "Has the colour of the named object been changed as asked?",
            "Is the object now in the colour that the instruction gives?",
            "Does the new colour of the object match the instruction?",
        ),
        ("Is the named object in the new colour?", "Does the right object have the requested colour in picture B?"),
    ),
    Family(
        "background",
        ("background",),
        truths.done,
        (
            "Is the background as asked?",
            "Does the background have the asked pattern and colour?",
            "Was the background changed to the one asked for?",
            "Is the new background the right one?",
            "Has the background the requested pattern and colours?",
            "Is the background of picture B what the instruction describes?",
            "Does picture B show the new background that was requested?",
            "Did the editor replace the background by the asked one?",
            "Does the new background match the instruction?",
        ),
        ("Has the background been replaced by the right one?", "Is the background the one that was asked for?"),
    ),
    Family(
        "blurred",
        ("bokeh",),
        truths.done,
        (
            "Is the background blurred?",
            "Is the background of picture B soft?",
            "Has the background been blurred as asked?",
            "Is the pattern of the background out of focus?",
            "Does the background look soft and out of focus in picture B?",
            "Was blur put on the background?",
            "Is the backdrop blurry in the edited picture?",
            "Did the editor blur the background?",
            "Is the background clearly softer in picture B than in picture A?",
        ),
        ("Does the background look blurred in picture B?", "Has the backdrop become soft?"),
    ),
    Family(
        "light",
        ("relight",),
        truths.done,
        (
            "Is the light as asked?",
            "Does the light come from the asked side or have the asked tint?",
            "Was the scene lit in the way asked for?",
            "Has the lighting been changed as the instruction says?",
            "Is the new light the one that was asked for?",
            "Does the lighting of picture B match the instruction?",
            "Is the direction or the warmth of the light right?",
            "Did the editor relight the scene as requested?",
            "Has the scene the light that the instruction asks for?",
        ),
        ("Is the lighting of picture B as asked?", "Does the new light match the instruction?"),
    ),
    Family(
        "style",
        ("style",),
        truths.done,
        (
            "Is the style as asked?",
            "Does picture B have the asked style?",
            "Was the picture turned into the style asked for?",
            "Has the whole picture been drawn in the requested style?",
            "Does the look of picture B match the style that the instruction names?",
            "Is the new style the right one?",
            "Is picture B in the style of the instruction?",
            "Did the editor change the style as requested?",
            "Is the whole of picture B in the new style?",
        ),
        ("Is the style of picture B the requested one?", "Has the picture the style that was asked for?"),
    ),
    Family(
        "complete",
        TASKS,
        truths.complete,
        (
            "Is the edit complete and not half done?",
            "Is the edit complete?",
            "Was the edit finished, not left half way?",
            "Has the edit its full strength?",
            "Is the change complete, not pale or faint?",
            "Was the edit carried through to the end?",
            "Is the edit fully done, without see-through parts?",
            "Did the editor finish the edit completely?",
            "Is nothing of the edit only half done?",
        ),
        ("Was the edit finished completely?", "Is the change fully done and not only half way?"),
    ),
    Family(
        "no-leftover",
        ("remove", "swap", "color"),
        truths.no_leftover,
        (
            "Is picture B free of any leftover or ghost of the old thing?",
            "Has the old thing gone without leaving a trace?",
            "Are all traces of the old object gone?",
            "Is there no ghost of the old object?",
            "Is there no leftover of what was there before?",
            "Is picture B without remains of the old object or colour?",
            "Has nothing of the old look shone through?",
            "Is the spot free of traces of what was there before?",
            "Can no trace of the old object be seen?",
        ),
        ("Is picture B free of traces of the old object?", "Is there no trace or ghost of the old thing?"),
    ),
    Family(
        "objects-kept",
        KEEPING,
        truths.objects_kept,
        (
            "Are the other objects unchanged?",
            "Have all other objects stayed as they were?",
            "Do the objects that the instruction does not name look the same in both pictures?",
            "Were the other objects left alone?",
            "Are all objects that should stay still the same?",
            "Did the editor leave the other objects untouched?",
            "Are the things that the instruction does not mention unchanged in picture B?",
            "Have the remaining objects kept their shape, place and colour?",
            "Is every other object preserved?",
        ),
        ("Did the other objects stay the same?", "Were all remaining objects left as they were?"),
    ),
    Family(
        "backdrop-kept",
        LOCAL,
        truths.backdrop_kept,
        (
            "Is the background unchanged?",
            "Has the background stayed as it was?",
            "Is the background the same in both pictures?",
            "Was the background left alone?",
            "Did the editor leave the background untouched?",
            "Does the background of picture B look the same as in picture A?",
            "Is the backdrop preserved?",
            "Has the background kept its pattern and colours?",
            "Is the background of picture A kept in picture B, without damage?",
            "Does the background stay as it was?",
        ),
        ("Did the background stay the same?", "Was the backdrop left untouched?"),
    ),
    Family(
        "no-cast",
        KEEPING,
        truths.no_cast,
        (
            "Are the overall colours unchanged?",
            "Have the colours of the rest stayed the same?",
            "Is picture B free of a colour cast?",
            "Is there no shift of the colours over the whole picture?",
            "Are all other colours as they were?",
            "Did the colours outside the edit stay true?",
            "Is the tint of the picture the same as before?",
            "Have the colours not drifted?",
        ),
        ("Did the overall colours stay the same?", "Is there no colour cast over the picture?"),
    ),
    Family(
        "rest-kept",
        KEEPING,
        truths.rest_kept,
        (
            "Is everything else unchanged?",
            "Is everything that the instruction does not name unchanged?",
            "Has all the rest of the picture stayed the same?",
            "Is the rest of the picture as in picture A?",
            "Apart from the edit, are the two pictures identical?",
            "Was nothing else changed?",
            "Did the editor leave everything else alone?",
            "Are all parts that should stay preserved exactly?",
            "Is the area outside the edit untouched?",
            "Is all that should stay still there in picture B and unchanged?",
            "Does everything else stay the same?",
            "Is there no change outside the edit?",
            "Has nothing else been altered?",
        ),
        ("Did everything else stay the same?", "Was the rest of the picture left untouched?"),
    ),
    Family(
        "clean",
        TASKS,
        truths.clean,
        (
            "Is picture B free of grain and noise?",
            "Is picture B clean, without noise?",
            "Is there no grain in picture B?",
            "Are the surfaces smooth and free of speckles?",
            "Is the edited picture free of noise and speckles?",
            "Is the picture quality clean?",
            "Is picture B free of artefacts such as noise or grain?",
            "Are there no visible artefacts?",
            "Is picture B free of noise?",
            "Is picture B without noise or grain?",
            "Does picture B look smooth, not grainy?",
            "Is the result without noise?",
        ),
        ("Is the edited picture clean and without grain?", "Is there no noise in the result?"),
    ),
)
