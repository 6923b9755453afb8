import pytest

from pcclust.data.part_pairs import part_pairs


def test_pairs_of_two_parts_are_those_of_the_official_code():
    pairs = part_pairs(4)
    listed = list(zip(pairs.left.tolist(), pairs.right.tolist(), pairs.same.tolist(), strict=True))
    first = [(0, 1, 1), (0, 2, 0), (0, 3, 0), (1, 2, 0), (1, 3, 0), (2, 3, 1)]
    assert listed == first + [(a + 4, b + 4, same) for a, b, same in first]


@pytest.mark.parametrize(
    ("clouds", "parts", "group"), [(2, 1, 2), (6, 3, 2), (4, 4, 2), (8, 2, 4), (6, 2, 6), (6, 3, 3)]
)
def test_pairs_against_enumeration(clouds, parts, group):
    expected = []
    for start in range(0, clouds, group):
        members = range(start, start + group)
        of_group = [(cloud, part) for cloud in members for part in range(parts)]
        for i, (cloud, part) in enumerate(of_group):
            for other, other_part in of_group[i + 1 :]:
                expected.append(
                    (cloud * parts + part, other * parts + other_part, int(cloud == other))
                )
    pairs = part_pairs(clouds, parts, group=group)
    assert list(zip(*(t.tolist() for t in pairs), strict=True)) == expected


def test_clouds_that_make_no_whole_groups():
    for clouds, parts, group in ((3, 2, 2), (0, 2, 2), (4, 0, 2), (4, 2, 1), (6, 2, 4)):
        with pytest.raises(ValueError, match=f"got {clouds} clouds in groups of {group}"):
            part_pairs(clouds, parts, group=group)
