import pickle
from functools import cache

import numpy as np
import pytest

from sim.errors import WallBreach, breaches
from sim.hidden.clustering import build_clusters
from sim.hidden.items import ItemTruth
from sim.hidden.population import Population
from sim.hidden.tree import InterestTree
from sim.hidden.world import World
from sim.platform import Platform, PlatformRecords
from sim.random import RandomStream
from tests.sim.people import TINY

LENGTH, DAYS, SEEN = 4, 30, 5


@cache
def day_0():
    world = World(TINY, 0)
    items = np.arange(world.catalog.num_items)
    return world.catalog, build_clusters(world.catalog, items, np.ones(len(items)), TINY.clusters)


def records(seen=SEEN):
    return PlatformRecords(3, *day_0(), history_length=LENGTH, history_days=DAYS, seen_length=seen)


def watch(book, user, items, examined=True, consumed=True, positive=False, fraction=0.5):
    """One user goes through one slate."""
    shape = (1, len(items))
    full = lambda value: np.broadcast_to(value, shape)  # noqa: E731
    book.record(
        np.array([user]), np.array([items]), full(examined), full(consumed), full(np.float32(fraction)), full(positive)
    )


ALL = np.arange(3)


def test_history_is_left_padded_and_most_recent_last():
    book = records()
    watch(book, 1, [7, 8, 9], positive=[True, False, True], fraction=[0.1, 0.2, 0.3])
    requests = book.requests(ALL, 10)
    assert requests.items.tolist() == [[-1] * 4, [-1, 7, 8, 9], [-1] * 4]
    assert requests.positive.tolist() == [[False] * 4, [False, True, False, True], [False] * 4]
    np.testing.assert_allclose(requests.watch[1], [0, 0.1, 0.2, 0.3])
    cluster = book.cluster_of_item
    assert requests.clusters.tolist()[1] == [-1, cluster[7], cluster[8], cluster[9]]
    assert len(requests) == 3
    assert requests.num_slots == 10


def test_the_oldest_fall_out():
    book = records()
    watch(book, 0, [1, 2, 3])
    watch(book, 0, [4, 5, 6])
    assert book.requests(ALL, 1).items[0].tolist() == [3, 4, 5, 6]


def test_only_what_was_consumed_is_history_and_only_what_was_examined_is_seen():
    book = records()
    watch(book, 0, [1, 2, 3], examined=[True, True, False], consumed=[False, True, False])
    requests = book.requests(ALL, 1)
    assert requests.items[0].tolist() == [-1, -1, -1, 2]
    assert sorted(requests.exclude[0].tolist()) == [-1, -1, -1, 1, 2]


def test_the_last_impressions_are_excluded_and_older_ones_no_longer():
    book = records()
    watch(book, 0, [1, 2, 3, 4])
    watch(book, 0, [5, 6, 7])
    assert sorted(book.requests(ALL, 1).exclude[0].tolist()) == [3, 4, 5, 6, 7]


def test_a_platform_may_remember_no_impressions():
    book = records(seen=0)
    watch(book, 0, [1, 2])
    assert book.requests(ALL, 1).exclude.shape == (3, 0)


def test_history_reaches_thirty_days_back():
    book = records()
    watch(book, 0, [1])
    book.begin_day(10, book.catalog)
    watch(book, 0, [2])
    for day, expected in [(29, [1, 2]), (30, [2]), (39, [2]), (40, [])]:
        book.begin_day(day, book.catalog)
        requests = book.requests(ALL, 1)
        assert requests.items[0][requests.items[0] >= 0].tolist() == expected
        assert requests.day == day
        assert ((requests.clusters == -1) == (requests.items == -1)).all()
        assert not requests.watch[requests.items == -1].any()


def test_consumed_clusters_are_kept_for_ever_for_each_user():
    book = records()
    platform = Platform(book)
    watch(book, 2, [1])
    watch(book, 2, [2], consumed=False)
    for _ in range(5):
        watch(book, 2, [3])
    expected = np.zeros((3, TINY.clusters.level_2), bool)
    expected[2, book.cluster_of_item[[1, 3]]] = True
    np.testing.assert_array_equal(platform.consumed_clusters(ALL), expected)
    book.mark_consumed(np.array([0]), np.array([5]))
    assert platform.consumed_clusters(np.array([0]))[0].nonzero()[0].tolist() == [5]


def test_uploads_are_filed_day_by_day_as_if_at_once():
    world = World(TINY, 0)
    book = records()
    platform = Platform(book)
    for day in (1, 2, 3):
        world.begin_day(day)
        book.begin_day(day, world.catalog)
    assert platform.day == 3
    np.testing.assert_array_equal(platform.cluster_of_item, day_0()[1].file(world.catalog.embedding)[:, 1])
    np.testing.assert_array_equal(platform.live_items(), np.flatnonzero(world.catalog.alive(3)))
    assert (platform.live_items() >= 800).any()
    assert len(platform.live_items()) < platform.catalog.num_items


def test_new_clusters_refile_items_and_what_was_consumed():
    book = records()
    watch(book, 0, [1, 2])
    catalog, _ = day_0()
    items = np.arange(700)
    other = build_clusters(catalog, items, np.ones(700), TINY.clusters)
    book.adopt(catalog, other)
    cluster = other.file(catalog.embedding)[:, 1]
    np.testing.assert_array_equal(book.cluster_of_item, cluster)
    assert set(book.consumed[0].nonzero()[0].tolist()) == set(cluster[[1, 2]].tolist())
    assert book.requests(ALL, 1).clusters[0, -2:].tolist() == cluster[[1, 2]].tolist()


def test_a_batch_is_recorded_as_its_users_one_by_one():
    generator = np.random.default_rng(0)
    together, apart = records(), records()
    for _ in range(4):
        items = generator.integers(0, 800, (3, 6))
        examined = generator.random((3, 6)) < 0.8
        consumed = examined & (generator.random((3, 6)) < 0.6)
        rest = generator.random((3, 6)).astype(np.float32), consumed & (generator.random((3, 6)) < 0.5)
        together.record(ALL, items, examined, consumed, *rest)
        for u in ALL:
            apart.record(*(a[u : u + 1] for a in (ALL, items, examined, consumed, *rest)))
    for name in ("items", "clusters", "watch", "positive", "exclude"):
        np.testing.assert_array_equal(getattr(together.requests(ALL, 1), name), getattr(apart.requests(ALL, 1), name))


def test_saved_records_continue_after_loading(tmp_path):
    book, twin = records(), records()
    watch(book, 1, [7, 8, 9])
    book.begin_day(3, book.catalog)
    book.save(tmp_path / "records.safetensors")
    twin.load(tmp_path / "records.safetensors", *day_0())
    for each in (book, twin):
        watch(each, 1, [1, 2])
    assert twin.day == 3
    for name in ("items", "clusters", "watch", "positive", "exclude"):
        np.testing.assert_array_equal(getattr(twin.requests(ALL, 1), name), getattr(book.requests(ALL, 1), name))
    np.testing.assert_array_equal(twin.consumed, book.consumed)


def test_arrays_given_to_a_recommender_are_read_only():
    book = records()
    watch(book, 1, [7, 8, 9])
    platform, requests = Platform(book), book.requests(ALL, 1)
    arrays = [getattr(requests, n) for n in ("user", "items", "clusters", "watch", "positive", "exclude")]
    arrays += [platform.cluster_of_item, platform.clusters.path, platform.clusters.centroid, platform.clusters.parent]
    arrays += [v for v in vars(platform.catalog).values() if isinstance(v, np.ndarray)]
    assert len(arrays) == 17
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 0
        while isinstance(array, np.ndarray):  # nor can what it is a view of, nor be made to
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.setflags(write=True)
            array = array.base
    with pytest.raises(WallBreach, match="platform='day': cannot be set"):
        platform.day = 3


def test_changes_to_a_recommenders_copies_do_not_change_the_records():
    book = records()
    platform = Platform(book)
    platform.consumed_clusters(ALL)[:] = True
    platform.live_items()[:] = 0
    assert not platform.consumed_clusters(ALL).any()
    assert len(set(platform.live_items().tolist())) == 800


@pytest.mark.parametrize(
    "route", ["records", "_records", "_Platform__records", "world", "truth", "population", "__dict__", "_consumed"]
)
def test_a_platform_has_no_other_attributes(route):
    platform = Platform(records())
    with pytest.raises((WallBreach, AttributeError)) as caught:
        getattr(platform, route)
    if not route.startswith("__"):
        assert str(caught.value).startswith(f"platform={route!r}: is none of what a recommender may see, which is day,")
        assert isinstance(breaches.pop(), WallBreach)  # kept, for those who look after the recommender


@pytest.mark.parametrize("change", [setattr, lambda thing, name, _: delattr(thing, name)])
def test_methods_of_a_platform_cannot_be_replaced(change):
    platform = Platform(records())
    for thing in (platform, Platform):
        for name in ("day", "live_items", "mine"):
            with pytest.raises(WallBreach, match=f"='{name}': cannot be"):
                change(thing, name, lambda: np.arange(3))
    with pytest.raises(AttributeError):
        object.__setattr__(platform, "live_items", None)
    assert len(platform.live_items()) == 800
    breaches.clear()


def test_a_breach_keeps_its_type_across_processes():
    breach = WallBreach("platform", "records", "hidden")
    breaches.clear()
    again = pickle.loads(pickle.dumps(breach))
    assert type(again) is WallBreach
    assert str(again) == str(breach) == "platform='records': hidden"
    breaches.clear()


HIDDEN = (World, Population, ItemTruth, InterestTree, RandomStream, PlatformRecords)


def reachable(thing, depth=0):
    """Everything that public attributes lead to."""
    yield thing
    if depth < 4 and type(thing).__module__.startswith("sim."):
        for name in dir(thing):
            if not name.startswith("_"):
                yield from reachable(getattr(thing, name), depth + 1)


def test_no_public_path_leads_from_the_platform_to_what_is_hidden():
    things = list(reachable(Platform(records())))
    assert not [t for t in things if isinstance(t, HIDDEN)]
    names = {name for name in dir(Platform) if not name.startswith("_")}
    assert names == {
        "catalog", "clusters", "cluster_of_item", "consumed_clusters", "day", "live_items", "num_users",
    }  # fmt: skip
    # The walk does find what it looks for where it is.
    assert [t for t in reachable(World(TINY, 0)) if isinstance(t, HIDDEN)]
