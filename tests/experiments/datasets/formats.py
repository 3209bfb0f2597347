"""Miniature files in the exact formats of published data sets, written by us, and a log with known answers."""

from pathlib import Path

import numpy as np

from experiments.datasets.dataset import LoggedDataset
from sim.clusters import InterestClusters
from sim.log import InteractionLog
from tests.experiments.synthetic import log_of
from tests.sim.catalogs import planted_catalog

KUAIRAND_LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)
KUAIRAND_VIDEOS = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
    "music_id,music_type,tag"
)
KUAIREC_MATRIX = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio"
OBD_LOG = ",timestamp,item_id,position,click,propensity_score,user_feature_0,user-item_affinity_0"
OBD_ITEMS = ",item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3"


def lines(path: Path, *rows: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), encoding=encoding)


def kuairand(folder: Path) -> Path:
    """Two users, two days; 1649347200000 is 2022-04-08, midnight in Beijing."""
    lines(
        folder / "data" / "log_standard_4_08_to_4_21_pure.csv",
        KUAIRAND_LOG,
        "17,30,20220409,100,1649437200000,1,0,0,0,0,0,1,20000,40000,0,0,0,0,1",  # out of order: the second day
        "17,10,20220408,0,1649347200000,1,0,0,0,0,0,0,8000,40000,0,0,0,0,1",
        "17,20,20220408,0,1649347200000,0,1,0,0,0,1,0,1000,5000,0,0,0,0,1",
        "17,10,20220408,0,1649347200000,1,0,0,0,0,0,0,8000,40000,0,0,0,0,1",  # twice
        "17,10,20220408,0,1649347205000,0,0,0,0,0,0,0,0,40000,0,0,0,0,1",
        "23,99,20220408,0,1649347200000,0,0,0,0,0,0,0,0,40000,0,0,0,0,1",  # nothing is known of video 99
        "23,40,20220408,0,1649347200000,0,0,0,0,0,0,0,0,40000,0,0,0,0,1",  # no tag
        "23,x,20220408,0,1649347200000,0,0,0,0,0,0,0,0,40000,0,0,0,0,1",
        "23,10,20220408,0",
    )
    lines(
        folder / "data" / "log_random_4_22_to_5_08_pure.csv",
        KUAIRAND_LOG,
        "23,20,20220408,0,1649347200000,1,1,0,0,0,0,1,6000,5000,0,0,0,1,1",
    )
    lines(
        folder / "data" / "video_features_basic_pure.csv",
        KUAIRAND_VIDEOS,
        "10,441,NORMAL,2022-04-01,ShortImport,1.0,40000.0,720,1280,9,4.0,12",
        '20,442,NORMAL,2022-04-08,ShortImport,1.0,5000.0,720,1280,9,4.0,"12,65"',
        "30,441,AD,,ShortImport,1.0,,720,1280,9,4.0,9",
        "40,441,NORMAL,2022-04-01,ShortImport,1.0,40000.0,720,1280,9,4.0,",
        "50,441,NORMAL,2022-04-01,ShortImport,1.0,40000.0,720,1280,9,4.0,9",
    )
    return folder


def kuairec(folder: Path) -> Path:
    lines(
        folder / "data" / "big_matrix.csv",
        KUAIREC_MATRIX,
        "14,148,13838,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,1.273397",
        "14,148,13838,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,1.273397",
        "14,183,8000,30000,2020-07-06 00:00:00,20200706,1593964800.0,0.266667",
        "14,7,1000,30000,2020-07-04 23:59:59.5,20200704,1593878399.5,0.033333",
        "19,183,30000,30000,,,,1.0",
    )
    lines(folder / "data" / "small_matrix.csv", KUAIREC_MATRIX, "3,7,500,30000,,,1593964800.0,0.016667")
    lines(folder / "data" / "item_categories.csv", "video_id,feat", "7,[8]", '148,"[27, 9]"', "183,[8]")
    return folder


def kuairec_captions(folder: Path) -> None:
    """With a line break in a caption, and a character that is cut in two, as the published file has them."""
    path = folder / "data" / "kuairec_caption_category.csv"
    lines(
        path,
        "video_id,manual_cover_text,caption,topic_tag,first_level_category_id,first_level_category_name,"
        "second_level_category_id,second_level_category_name,third_level_category_id,third_level_category_name",
        '7,UNKNOWN,"Noodles,\nby hand",[],8,Food,673,Cooking,-124,UNKNOWN',
        "148,UNKNOWN,UNKNOWN,[],27,HighTech,124,UNKNOWN,9,Leaf",
        "183,UNKNOWN,Soup ,[],8,Food,673,Cooking,-124,UNKNOWN",
    )
    path.write_bytes(path.read_bytes().replace(b"Soup ,", b"Soup \xe7\xbe,"))


def mind(folder: Path) -> Path:
    lines(
        folder / "behaviors.tsv",
        "1\tU13740\t11/11/2019 9:05:58 AM\tN1 N2\tN3-1 N4-0",
        "2\tU91836\t11/12/2019 6:11:30 PM\t\tN1-0 N9-1",  # nothing is known of N9
        "3\tU13740\t11/11/2019 12:00:01 AM\tN1\tN2-0",  # earlier than the first
        "4\tU91836\t11/12/2019 6:11:30 PM\t\tN4-1",  # the same second, another request
        "5\tU91836\tyesterday\t\tN4-1",
        "6\tU91836\t11/12/2019 6:12:30 PM\t\tN4 N3",  # as in the test set
    )
    lines(
        folder / "news.tsv",
        'N1\tsports\tfootball_nfl\tThe "Bears" win\tabstract\thttps://x\t[]\t[]',
        "N2\tsports\tgolf\tA golf club\t\thttps://x\t[]\t[]",
        "N3\tlifestyle\tgolf\tGolf at home\t\thttps://x\t[]\t[]",
        "N4\tsports\tfootball_nfl\tBears lose\t\thttps://x\t[]\t[]",
        "N5\tsports\tgolf\tNever shown\t\thttps://x\t[]\t[]",
    )
    return folder


def movielens(folder: Path, old: bool) -> Path:
    """2000-12-31 is day 0."""
    ratings = [(1, 1193, 5, 978300760), (1, 661, 3, 978302109), (2, 1193, 2, 978300760), (2, 3, 4, 978387160)]
    movies = [
        (661, "James and the Giant Peach: A Film (1996)", "Animation|Children's|Musical"),
        (1193, "Café, One Flew (1975)", "Drama"),
        (3, "Grumpier Old Men (1995)", "Drama|Romance"),
    ]
    if old:
        lines(folder / "ratings.dat", *("::".join(map(str, row)) for row in ratings), encoding="latin-1")
        lines(folder / "movies.dat", *("::".join(map(str, row)) for row in movies), encoding="latin-1")
    else:
        lines(
            folder / "ratings.csv", "userId,movieId,rating,timestamp", *(f"{u},{m},{r}.0,{t}" for u, m, r, t in ratings)
        )
        lines(folder / "movies.csv", "movieId,title,genres", *(f'{m},"{title}",{g}' for m, title, g in movies))
    return folder


def open_bandit(folder: Path) -> Path:
    here = folder / "bts" / "men"
    lines(
        here / "men.csv",
        OBD_LOG,
        "0,2019-11-25 00:00:13.004101+00:00,1,3,1,0.25,cef3390ed299c09874189c387777674a,0.0",
        "1,2019-11-24 23:59:59+00:00,0,1,0,0.5,cef3390ed299c09874189c387777674a,0.0",
        "2,2019-11-25 00:00:13.004101+00:00,2,2,0,0.125,cef3390ed299c09874189c387777674a,0.0",
    )
    lines(
        here / "item_context.csv",
        OBD_ITEMS,
        "0,0,-0.5,aaaaaaaa885d8bf7a3b8b9fa6f0842ba,b1,c1",
        "1,1,0.5,bbbbbbbba885d8bf7a3b8b9fa6f0842b,b1,c2",
        "2,2,0.7,aaaaaaaa885d8bf7a3b8b9fa6f0842ba,b2,c2",
    )
    return folder


def logged(num: int = 400, seed: int = 3) -> LoggedDataset:
    """Five users, twelve items, four clusters under two themes; every user, item and cluster is in the log.

    What people do follows the log's own definitions, to the millisecond, so that formats that carry one of them
    carry those that follow from it.
    """
    rng = np.random.default_rng(seed)
    catalog = planted_catalog(np.repeat([0, 1, 2, 3], 3), noise=0.1)
    path = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 2, 2], [1, 3, 3, 3]])
    words = (("tea",), ("chess", "openings"), ("surfing",), ("jazz",))
    clusters = InterestClusters(path, catalog.embedding[::3].astype(np.float32), words)
    user, day, step = np.arange(num) % 5, np.arange(num) // 100, np.arange(num) % 100 // 20
    slot = np.arange(num) % 20 // 5
    item = (np.arange(num) * 7 + rng.integers(0, 2, num) * 5) % 12
    seconds = rng.integers(0, 30_000, num) / 1000 + (rng.random(num) < 0.1) * 30
    disliked = rng.random(num) < 0.1
    liked = (rng.random(num) < 0.2) & ~disliked
    columns = {
        "user": user, "day": day, "step": step, "slot": slot, "item": item, "cluster": item // 3,
        "watch_seconds": seconds, "watch_fraction": seconds / 30, "liked": liked, "disliked": disliked,
        "positive": ((seconds >= 18) | liked) & ~disliked, "propensity": rng.random(num) / 2 + 0.1,
        "consumed": (seconds > 7) | liked, "source": rng.integers(0, 2, num), "planned": np.full(num, -1),
    }  # fmt: skip
    order = np.lexsort((slot, user, step, day))
    log = log_of(**{name: np.asarray(column)[order] for name, column in columns.items()})
    return LoggedDataset("planted", "test", 5, log, catalog, clusters)


def places(log: InteractionLog) -> list[tuple[int, ...]]:
    """Day, step, user, slot and item of each row."""
    return list(zip(*(getattr(log, n).tolist() for n in ("day", "step", "user", "slot", "item")), strict=True))
