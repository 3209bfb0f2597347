"""MovieLens (Harper & Konstan 2015): ratings of films, to and from our schema.

Files, in the folder::

    ratings.dat   UserID::MovieID::Rating::Timestamp   (1M, 10M; Latin-1)
    movies.dat    MovieID::Title::Genres, genres with | between
    ratings.csv   userId,movieId,rating,timestamp      (20M, 25M, 32M, latest)
    movies.csv    movieId,title,genres

What we take it for:

- *request*: ratings of one user with the same ``timestamp`` (s); days are UTC's. A rating is given when the film is
  entered, long after it was seen: the order within a session means little.
- *consumed*: every rating. *Liked* and *positive*: 4 stars or more; *disliked*: 2 or fewer.
- *cluster*: the combination of genres, under the first of them (genres stand in alphabetical order). Films with
  ``(no genres listed)`` have none, and their ratings are left out. Titles' words and genres are the keywords.
- *propensity*: unknown. What was shown and not rated was not logged: ``has_negatives`` is false.
- Watching was not logged, lengths are nominal.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.datasets.assembly import SourceRows, assemble, numbered
from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.delimited import (
    Layout,
    folder_of,
    numbers,
    read_numbers,
    read_texts,
    readable,
    text_blocks,
)
from experiments.datasets.export import clock, write_csv
from sim.errors import InvalidInput

LIKED, DISLIKED = 4.0, 2.0
"""Stars, from and to which."""

NO_GENRE = "(no genres listed)"

_RATINGS = {"userId": np.int64, "movieId": np.int64, "rating": np.float64, "timestamp": np.int64}
_LINES = Layout(delimiter="\x01", names=("line",), quoted=False, encoding="latin-1")
_RATING = r"^(?P<userId>[^:]*)::(?P<movieId>[^:]*)::(?P<rating>[^:]*)::(?P<timestamp>[^:]*)$"
_MOVIE = r"^(?P<movieId>[0-9]+)::(?P<title>.*)::(?P<genres>[^:]*)$"


def read(folder: Path, part: str | None = None) -> LoggedDataset:
    """Read MovieLens, of either layout; it has no parts.

    Raises:
        InvalidInput: a file or a column is missing, a file is half a file, or no row can be used.
    """
    folder = folder_of(folder, "MovieLens")
    left_out: Counter[str] = Counter()
    old = (folder / "ratings.dat").is_file()
    if not old and not (folder / "ratings.csv").is_file():
        raise InvalidInput("dataset.folder", str(folder), "must hold ratings.csv or ratings.dat")
    if old:
        ratings = _ratings(folder / "ratings.dat", left_out)
        texts = _fields(read_texts([folder / "movies.dat"], ("line",), left_out, _LINES)["line"], _MOVIE, left_out)
    else:
        ratings = read_numbers([folder / "ratings.csv"], _RATINGS, left_out)
        texts = read_texts([folder / "movies.csv"], ("movieId", "title", "genres"), left_out)
    stars = ratings["rating"]
    liked = stars >= LIKED
    rows = SourceRows(
        user=ratings["userId"],
        item=ratings["movieId"],
        time=ratings["timestamp"] * 1000,
        liked=liked,
        disliked=stars <= DISLIKED,
        positive=liked,
        consumed=np.ones(len(stars), bool),
    )
    genres = pc.if_else(pc.equal(texts["genres"], NO_GENRE), None, texts["genres"])
    items = numbered(texts, "movieId", left_out, genres, title=texts["title"])
    return assemble(f"MovieLens, {folder.name}", "movielens", rows, items, left_out, has_negatives=False)


def _ratings(path: Path, left_out: Counter[str]) -> dict[str, np.ndarray]:
    parts = []
    for block in text_blocks(path, ("line",), left_out, _LINES):
        texts = _fields(block["line"], _RATING, left_out)
        values = {name: numbers(texts[name]) for name in _RATINGS}
        kept = readable(values, left_out)
        parts.append({name: values[name][kept].astype(dtype) for name, dtype in _RATINGS.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in _RATINGS}


def _fields(lines: pa.Array, pattern: str, left_out: Counter[str]) -> dict[str, pa.Array]:
    """The named groups of each line (n,); lines that are otherwise are left out."""
    fields = pc.extract_regex(lines, pattern)
    left_out["rows with too few or too many fields"] += fields.null_count
    fields = fields.drop_null()
    return {fields.type.field(place).name: fields.field(place) for place in range(fields.type.num_fields)}


def write(data: LoggedDataset, folder: Path) -> dict[str, int]:
    """Write what was consumed as ``ratings.csv`` and ``movies.csv``.

    Carried: users, items, the order of days, requests and slots, positives (4 stars), dislikes (2), what was consumed
    without either (3), titles, and level 1 and 2 of the clusters as genres. Time stamps are made up (``clock``). Not
    carried: impressions that were not consumed, of which is returned how many there were, watching, propensities, who
    filled a slot, planned clusters, creators, lengths, keywords, days of upload and expiry. Where rows are left out,
    requests and slots close up.
    """
    rated = data.log.consumed | data.log.positive | data.log.disliked
    log = data.log.where(rated)
    columns = {
        "userId": log.user,
        "movieId": log.item,
        "rating": np.where(log.positive, "4.0", np.where(log.disliked, "2.0", "3.0")),
        "timestamp": clock(log) // 1000,
    }
    write_csv(folder / "ratings.csv", columns)
    cluster = data.cluster_of_item
    genres = [f"theme {theme}|cluster {place}" for place, theme in enumerate(data.clusters.parent)]
    movies = {
        "movieId": np.arange(len(cluster)),
        "title": [data.catalog.title(item) for item in range(len(cluster))],
        "genres": np.array(genres)[cluster],
    }
    write_csv(folder / "movies.csv", movies)
    lost = int((~rated).sum())
    return {"impressions without consumption that the format cannot carry": lost} if lost else {}
