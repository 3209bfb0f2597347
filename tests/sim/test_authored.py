import pytest

from sim.errors import InvalidInput
from sim.hidden.authored import authored_digest
from sim.hidden.tree import load_tree

INTERESTS = """themes:
  - name: Food
    facets: [recipes, reviews]
    interests:
      - name: home espresso
        keywords: [espresso, latte art]
      - name: sourdough
        keywords: [starter, crusty loaf]
  - name: Games
    facets: [tips]
    interests:
      - name: chess
        keywords: [checkmate]
      - name: speedrunning
        keywords: [speedrun, world record]
"""
PERSONAS = """personas:
  - name: night owl
    weight: 1.5
    interests:
      home espresso: 1.0
      sourdough: 0.4
      chess: 0.5
      speedrunning: 0.7
"""


@pytest.fixture
def authored(tmp_path):
    """Writes the two files with something replaced; the folder."""

    def write(old="", new="", personas=PERSONAS):
        assert old in INTERESTS + personas
        (tmp_path / "interests.yaml").write_text(INTERESTS.replace(old, new) if old else INTERESTS)
        (tmp_path / "personas.yaml").write_text(personas.replace(old, new) if old else personas)
        return str(tmp_path)

    return write


def test_files_in_another_folder_make_a_tree(authored):
    tree = load_tree(4, authored())
    assert tree.interests == ("home espresso", "sourdough", "chess", "speedrunning")
    assert tree.theme_of_interest.tolist() == [0, 0, 1, 1]
    assert tree.links.dense(4).tolist() == [[1.0, 0.4, 0.5, 0.7]]


def test_different_files_have_different_digests(authored):
    before = authored_digest(authored())
    assert before == authored_digest(authored())
    assert before != authored_digest(authored("0.4", "0.5"))
    assert before != authored_digest("")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("chess: 0.5", "ches: 0.5", r"personas.yaml: personas\[0\].interests='ches': is no interest of interests.yaml"),
        ("chess: 0.5", "sourdough: 0.5", r"personas.yaml: line 7='sourdough': stands twice"),
        ("chess: 0.5", "chess: 1.5", r"personas\[0\].interests\['chess'\]=1.5: must be a number above 0 and at most 1"),
        ("weight: 1.5", "weight: -1", r"personas\[0\].weight=-1: must be a number above 0"),
        ("name: sourdough", "name: chess", r"interests.yaml: interests.name='chess': stands twice"),
        ("name: Games", "name: Food", r"interests.yaml: themes.name='Food': stands twice"),
        (
            "[checkmate]",
            "[]",
            r"themes\[1\].interests\[0\].keywords of 'chess'=\[\]: must be a list of words, not empty",
        ),
        ("[checkmate]", "[mate, mate]", r"keywords of 'chess'='mate': stands twice"),
        ("[checkmate]", "[latte art, espresso]", r"interests.keywords='espresso, latte art': stands twice"),
        ("[checkmate]", "[3]", r"keywords of 'chess'=\[3\]: must be a list of words"),
        ("name: chess", "nam: chess", r"themes\[1\].interests\[0\].name=None: must be a name"),
        ("facets: [tips]", "facets: []", r"interests.yaml: themes\[1\].facets of 'Games'=\[\]: must be a list"),
        ("themes:", "theme:", r"interests.yaml.themes=None: must be a list of mappings"),
        ("themes:", "themes: [", r"interests.yaml=.*must be valid YAML"),
    ],
)
def test_each_fault_names_file_field_and_value(authored, old, new, message):
    with pytest.raises(InvalidInput, match=message) as error:
        load_tree(4, authored(old, new))
    assert "\n" not in str(error.value)


def test_a_cycle_is_refused(authored, tmp_path):
    folder = authored("  - name: Food\n", "  - &food\n    name: Food\n")
    path = tmp_path / "interests.yaml"
    path.write_text(path.read_text().replace("      - name: home", "      - *food\n      - name: home"))
    assert str(tmp_path) == folder
    with pytest.raises(InvalidInput, match=r"interests.yaml: .*='a cycle': nothing may stand below itself"):
        load_tree(4, folder)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"world.taxonomy=.*must be a folder with a readable interests.yaml"):
        load_tree(4, str(tmp_path / "nowhere"))
