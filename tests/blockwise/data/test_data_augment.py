"""Whole-batch augmentation and normalisation against slow references, one image at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from blockwise.data import Augment, Normalize
from blockwise.data.augment import crop_at, pad, random_crop, random_cutout, random_flip

FILL = (10, 20, 30)


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded(seed))


def slow_crop(image: Tensor, top: int, left: int, padding: int) -> Tensor:
    """Crop one (C, H, W) image pixel by pixel."""
    channels, height, width = image.shape
    out = torch.empty_like(image)
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                sy, sx = y + top - padding, x + left - padding
                inside = 0 <= sy < height and 0 <= sx < width
                out[c, y, x] = image[c, sy, sx] if inside else FILL[c]
    return out


@settings(max_examples=30)
@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 3),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    padding=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_cropping_a_batch_equals_cropping_each_image_pixel_by_pixel(
    batch: int, channels: int, height: int, width: int, padding: int, seed: int
) -> None:
    images = random_images(batch, channels, height, width, seed=seed)
    offsets = torch.randint(0, 2 * padding + 1, (2, batch), generator=seeded(seed))
    cropped = crop_at(pad(images, padding, FILL[:channels]), offsets, (height, width))
    for image, result, top, left in zip(images, cropped, *offsets.tolist(), strict=True):
        assert torch.equal(result, slow_crop(image, top, left, padding))


def test_random_crops_cover_every_offset_about_equally_often() -> None:
    # Every pixel tells its own place, so the centre pixel of a crop tells the offset.
    place = torch.arange(25, dtype=torch.uint8).view(1, 1, 5, 5).expand(4000, 1, 5, 5)
    centres = random_crop(place, 2, (255,), seeded())[:, 0, 2, 2]
    counts = torch.bincount(centres.long(), minlength=25)
    assert len(counts) == 25
    assert int(counts.min()) > 100 and int(counts.max()) < 230  # 160 expected, sigma 12.4


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_crop_reads_images_of_any_memory_format(layout: torch.memory_format) -> None:
    images = random_images(6, 3, 8, 8)
    expected = random_crop(images, 2, FILL, seeded(1))
    assert torch.equal(random_crop(images.contiguous(memory_format=layout), 2, FILL, seeded(1)), expected)


def test_flips_mirror_half_of_the_images_and_leave_the_others() -> None:
    images = random_images(4000, 1, 1, 5)
    flipped = random_flip(images, seeded())
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert bool((same | mirrored).all())
    assert 1850 < int(mirrored.sum()) < 2150  # 2000 expected, sigma 32


def test_cutout_fills_one_square_clipped_at_the_border() -> None:
    images = torch.full((500, 3, 9, 7), 200, dtype=torch.uint8)
    cut = random_cutout(images, 4, FILL, seeded())
    sizes = set()
    for image in cut:
        hole = image[0] == FILL[0]
        rows, columns = hole.any(1), hole.any(0)
        assert torch.equal(hole, rows[:, None] & columns[None, :])
        assert image[:, hole].T.unique(dim=0).tolist() == [list(FILL)]
        assert bool((image[:, ~hole] == 200).all())
        sizes.add((int(rows.sum()), int(columns.sum())))
    assert sizes == {(h, w) for h in (2, 3, 4) for w in (2, 3, 4)}


def test_augmenting_leaves_its_input_and_keeps_shape_and_dtype() -> None:
    images = random_images(8, 3, 12, 12)
    before = images.clone()
    result = Augment(crop_padding=2, flip=True, cutout=3, fill=FILL)(images, seeded())
    assert torch.equal(images, before)
    assert result.shape == images.shape and result.dtype == torch.uint8
    assert not torch.equal(result, before)


def test_augmenting_float_images_pads_with_zeros_by_default() -> None:
    result = Augment(crop_padding=3)(torch.ones(50, 2, 4, 4), seeded())
    assert result.dtype == torch.float32
    assert set(result.flatten().tolist()) == {0.0, 1.0}


def test_the_same_generator_state_gives_the_same_augmentation() -> None:
    images = random_images(16, 3, 8, 8)
    augment = Augment(crop_padding=2, flip=True, cutout=2)
    assert torch.equal(augment(images, seeded(3)), augment(images, seeded(3)))
    assert not torch.equal(augment(images, seeded(3)), augment(images, seeded(4)))


def test_an_augmentation_that_changes_nothing_is_false() -> None:
    images = random_images(2, 1, 4, 4)
    assert not Augment()
    assert torch.equal(Augment()(images, seeded()), images)
    assert Augment(cutout=1) and Augment(flip=True) and Augment(crop_padding=1)


def test_negative_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0 pixels"):
        Augment(crop_padding=-1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_normalising_equals_the_textbook_formula_and_keeps_the_memory_format(
    layout: torch.memory_format,
) -> None:
    images = random_images(4, 3, 6, 6).contiguous(memory_format=layout)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    result = Normalize(mean, std)(images)
    centre, spread = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=layout)
    torch.testing.assert_close(result, (images / 255 - centre) / spread, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 7)])
def test_signals_and_features_are_normalised_channel_by_channel(shape: tuple[int, ...]) -> None:
    values = random_images(4, 3, 7, 1).flatten(2)[..., : shape[2] if len(shape) > 2 else 1].reshape(shape)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    found = Normalize(mean, std)(values)
    assert found.shape == shape and found.dtype == torch.float32
    for channel in range(3):
        expected = (values[:, channel] / 255 - mean[channel]) / std[channel]
        torch.testing.assert_close(found[:, channel], expected, rtol=1e-5, atol=1e-5)


def test_the_mean_colour_is_zero_after_normalising_to_within_half_a_level() -> None:
    mean, std = 0.473, 0.25
    level = torch.full((1, 1, 1, 1), round(255 * mean), dtype=torch.uint8)
    assert abs(float(Normalize((mean,), (std,))(level))) <= 0.5 / 255 / std + 1e-6


def test_a_constant_channel_stays_finite() -> None:
    assert bool(Normalize((0.0,), (0.0,))(torch.zeros(1, 1, 2, 2, dtype=torch.uint8)).eq(0).all())
