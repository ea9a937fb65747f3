from __future__ import annotations

import pytest
import torch

from napari_al.learning.networks.filters import N_LEVELS, N_ORIENTATIONS, Filters


def maps_of(images: torch.Tensor) -> torch.Tensor:
    (maps,) = Filters(images.shape[1])(images)
    return maps


def parts(maps: torch.Tensor, n_channels: int) -> list[dict[str, torch.Tensor]]:
    """Maps by level and kind."""
    found, at = [], 0
    for level in range(N_LEVELS):
        sizes = {"difference": n_channels, "deviation": n_channels, "edges": 2}
        sizes |= {"energy": N_ORIENTATIONS, "mean": n_channels if level > 1 else 0}
        found.append({})
        for kind, size in sizes.items():
            found[-1][kind] = maps[:, at : at + size]
            at += size
    assert at == maps.shape[1]
    return found


@pytest.mark.parametrize("n_channels", [1, 3, 5])
def test_a_plain_image_has_means_and_nothing_else(n_channels):
    images = torch.full((1, n_channels, 64, 96), 0.7)
    for level, maps in enumerate(parts(maps_of(images), n_channels)):
        for kind in ("difference", "deviation", "edges", "energy"):
            assert maps[kind].abs().max() < 2e-3, (level, kind)
        torch.testing.assert_close(maps["mean"], torch.full_like(maps["mean"], 0.7))


def test_what_is_moved_is_answered_elsewhere():
    images = torch.zeros(1, 3, 512, 512)
    images[..., 200:230, 210:250] = torch.rand(3, 30, 40)
    moved = images.roll((64, -32), dims=(2, 3))
    expected = maps_of(images).roll((16, -8), dims=(2, 3))
    inside = (..., slice(40, 90), slice(40, 90))  # the border is not rolled round
    torch.testing.assert_close(maps_of(moved)[inside], expected[inside], atol=1e-5, rtol=1e-4)


def test_stripes_answer_to_filters_of_their_direction():
    stripes = torch.cos(torch.arange(256) * torch.pi / 2).expand(1, 1, 256, 256)
    across = parts(maps_of(stripes), 1)[0]["energy"].mean(dim=(2, 3))[0]
    down = parts(maps_of(stripes.transpose(2, 3)), 1)[0]["energy"].mean(dim=(2, 3))[0]
    assert across.argmax() == 0
    assert down.argmax() == N_ORIENTATIONS // 2
    torch.testing.assert_close(across[0], down[N_ORIENTATIONS // 2])


def test_an_edge_has_one_direction_and_a_corner_two():
    edge, corner = torch.zeros(1, 1, 128, 128), torch.zeros(1, 1, 128, 128)
    edge[..., 64:], corner[..., 64:, 64:] = 1, 1
    strong, weak = parts(maps_of(edge), 1)[1]["edges"][0, :, 16, 16]
    assert strong > 10 * weak
    assert parts(maps_of(corner), 1)[1]["edges"][0, 1, 16, 16] > 0.02
