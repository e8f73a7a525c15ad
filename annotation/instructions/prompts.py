"""What a model is asked for when it writes instructions. Pure.

The version is stored with every proposal: whoever changes a word here gives it a new one (a test holds the texts of
each version by their hash). All words are ours. The eight tasks of HP-Edit have guides of their own; every other task
is served by its description and a general guide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

PROMPT_VERSION = "propose-1"
MOST_EARLIER = 30  # instructions shown as already taken

HEAD = """\
You write instructions for editing the picture that comes with this message. They will be given to image-editing \
models, and people will judge the edits. So an instruction is good if a person who sees the picture before and \
after can say at once whether it was followed.

The kind of edit: {name}. {description}

{guide}

Before you write, look at the picture and note what is really in it: things, people, surroundings, light, written \
words. Then write {count} {instructions} of this kind for this very picture. Rules:
1. Name what is to be edited, by something that is visible in the picture. Where there are several of a kind, tell \
it apart by place, colour or size. Never name a thing that is not there as if it were.
2. One edit in one sentence, in the imperative, in the words of somebody who uses an editing tool. Between 5 and \
30 words.
3. The edit must be possible in this picture and visible when done: nothing hidden, nothing tiny, nothing that is \
already so.
4. Nothing that harms, undresses, mocks or falsely accuses a person; no names of real people.
5. Several instructions must differ in what they edit or in what they make of it, not in wording alone.
6. If the picture gives fewer good edits of this kind, write fewer. If it gives none, write none. Fewer is better \
than forced.
"""

EARLIER = """
These are taken. Write none of them again, and none that asks for the same in other words:
{earlier}
"""

TAIL = """
For each instruction give four texts:
- "instruction": the instruction in English.
- "instruction_zh": the same in natural Chinese, as a Chinese user would type it, not word for word.
- "description": the finished picture in one or two English sentences, as a caption of the result. It says what is \
to be seen, not what was done.
- "requirement": in one or two English sentences, what must be true of a good result: what has changed, how well \
it must fit (light, shadow, edges, perspective, as far as they matter here), and what in this picture must have \
stayed as it was.

Answer with one JSON object and nothing else:
{{"proposals": [{{"instruction": "...", "instruction_zh": "...", "description": "...", "requirement": "..."}}]}}
"""

GENERAL = """\
Choose what this kind of edit suits best in this picture, and say both what is changed and what it becomes. Leave \
no choice open to the editor that a judge would have to guess."""

GUIDES = {
    "add": """\
Something new comes into the scene. Say what it is, with a colour or material, and where exactly it stands, lies \
or hangs: on, beside or behind a thing that is visible. Choose things that belong in such a place and whose size \
is clear from what is around them. There must be free room for it. Prefer things that touch a surface, so that \
shadow and contact can be judged. The requirement names the place, the size against its neighbours, and that \
nothing else is covered or moved.""",
    "remove": """\
Something is taken out, and what was behind it is filled in. Choose a thing with a clear outline whose background \
can be guessed: a cup on a table, a sign at a wall, a person at the side. Not the main subject that the picture is \
about, not a part without which another thing would be broken, and nothing so small that nobody would miss it. \
Where there are several, say whether one or all go. The requirement says what should be seen in its place, that \
shadow and reflection go with it, and what near it must stay.""",
    "swap": """\
One thing is put in the place of another. Name the visible thing and the new one, with a colour or kind. Choose a \
new one that fits the same place and use but is plainly something else: a bicycle for a scooter, tulips for roses. \
Similar size and pose make it fair; a mere change of colour belongs to another kind of edit. The requirement says \
that place, size and contact are taken over, that nothing of the old thing remains, and what stays.""",
    "color": """\
An object gets another colour and keeps its material, pattern, light and shade. Name the object by what it is and, \
where there are several, by its place or present colour, and name one plain new colour that is far from the \
present one. Choose objects with a clear surface of one colour: clothes, cars, walls, fruit, furniture; not glass, \
mirrors, or things that are nearly black or white only by their light. The requirement says that highlights, folds \
and texture stay visible, that the whole object is coloured to its edges, and that its neighbours keep their \
colours.""",
    "background": """\
Another place or backdrop comes behind the subject. Name the subject that stays and describe the new surroundings \
so that they can be pictured: kind of place, time or weather, distance. Choose places whose light and camera \
height suit the subject, or say how the light should fit. Vary between outdoors, indoors and plain backdrops. Only \
for pictures with a subject that stands apart from what is behind it. The requirement says that the subject's \
outline, hair and fine edges stay whole, that the ground under it makes sense, and that its size and pose stay.""",
    "bokeh": """\
What lies behind or before the subject is blurred, as a lens with a wide aperture does it. Name what stays sharp, \
and say what is blurred and how strongly. Only for pictures with depth: a subject at one distance and something \
clearly nearer or farther that is sharp now. Vary what stays sharp where the picture allows it, and the strength. \
The requirement says that the subject is sharp to its edges and in its gaps, that the blur grows with distance, \
that lights become soft discs, and that nothing changes but the focus.""",
    "relight": """\
Direction, strength or colour of the light changes; things stay as they are. Say where the light comes from in \
this picture (left, right, behind, above, a lamp or window that is visible), its colour or the time of day, and \
how strong it is. Choose a light that is plainly different from the present one. Weather, season and new objects \
belong to other kinds of edits. The requirement says where lit sides, shadows and reflections should fall on the \
named things, and that shapes, textures and the objects' own colours stay.""",
    "style": """\
The whole picture is drawn again in another style. Name one style that anybody recognises by its means: oil paint \
with thick strokes, pencil with hatching, watercolour on paper, woodcut, paper cut-out, pixel art, ink wash, \
stained glass, a poster of flat colours. Name no living artist, film or brand. Say which things of this picture \
must stay recognisable, by name. Each instruction takes a different style. The requirement names the marks of the \
style (strokes, grain, line, palette), and that composition, things and their number stay.""",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask for: a task (its slug, name and description), and how many instructions."""

    task: str
    name: str
    description: str
    count: int


def prompt(wanted: Wanted, earlier: Sequence[str] = ()) -> str:
    """The text that goes with the picture. ``earlier``: instructions that this picture has for the task already."""
    text = HEAD.format(
        name=wanted.name,
        description=wanted.description,
        guide=GUIDES.get(wanted.task, GENERAL),
        count=wanted.count,
        instructions="instruction" if wanted.count == 1 else "different instructions",
    )
    if taken := list(earlier)[-MOST_EARLIER:]:
        text += EARLIER.format(earlier=json.dumps(taken, ensure_ascii=False, indent=1))
    return text + TAIL.format()
