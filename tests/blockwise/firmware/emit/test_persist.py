"""Projects that save: what they have more than others, and that they go on where they were ended."""

import subprocess
import sys
from dataclasses import replace

import pytest
from saving_firmware import saving

from blockwise.firmware.emit.project import files, project
from blockwise.firmware.toolchains import ZIG, host

MORE = {
    "persist.c", "persist.h", "flash.h", "flash_board.c", "port_flash.c", "port_flash_host.c",
    "kernels/common/crc32.h",
}  # fmt: skip


@pytest.fixture(scope="module")
def firmware():
    return saving("stm32f103", "niti4-jump", every=30)


def test_without_the_option_nothing_of_it_is_there(firmware):
    saves, plain = files(firmware), files(replace(firmware, save_every=0))
    assert set(saves) - set(plain) <= MORE <= set(saves)
    for name in ("blockwise.h", "step.c", "board.ld", "README.md", "Makefile"):
        assert not any(
            word in plain[name] for word in ("SAVE", "blockwise_save", "slots", "persist", "steps++")
        )
    assert "LENGTH = 0x10000 " in plain["board.ld"] and "LENGTH = 0xf800 " in saves["board.ld"]
    assert "SLOTS (r) : ORIGIN = 0x0800f800, LENGTH = 0x800" in saves["board.ld"]
    assert "| two slots that keep the training | 0x0800F800 | 2,048 |" in saves["README.md"]


@pytest.mark.slow
def test_the_example_goes_on_where_it_was_ended(firmware, tmp_path):
    """The host's flash is a file: a second run begins behind the last save, and ends alike."""
    project(firmware, tmp_path / "project")
    main = tmp_path / "project" / "main.c"
    tell = '#include <stdio.h>\nstatic int told(int done) { printf("%d\\n", done); return done; }\n'
    text = main.read_text().replace(
        "int behind = blockwise_restore();", "int behind = told(blockwise_restore());"
    )
    main.write_text(
        tell + text.replace("return right() == 0;", 'printf("%u", blockwise_checksum()); return 0;')
    )
    host.build(tmp_path / "project", "main", tmp_path / "main")

    def ran():
        return subprocess.run([tmp_path / "main"], cwd=tmp_path, check=True, capture_output=True, text=True)

    runs = [ran().stdout.split() for _ in range(2)]
    assert [run[0] for run in runs] == ["-1", "90"] and runs[0][1] == runs[1][1]


@pytest.mark.slow
def test_the_example_is_built_for_the_board_with_the_flash_that_is_still_to_be_written(firmware, tmp_path):
    project(firmware, tmp_path / "project")
    assert ZIG.build(tmp_path / "project", firmware.device, "main", tmp_path / "main.elf").elf.is_file()
    said = subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-std=gnu99", "-c", "flash_board.c", "-o", "f.o"],
        cwd=tmp_path / "project", check=True, capture_output=True, text=True,
    ).stderr  # fmt: skip
    assert "still to be written for this part" in said


PROGRAM = """\
#include "blockwise.h"
#include <stdio.h>
int worn;
static void steps(int count) { while (count--) blockwise_step(); }
static void tell(int value) { printf("%d ", value); }
int main(void)
{
    tell(blockwise_restore());
    blockwise_init(1);
    tell(blockwise_save());
    steps(3);
    uint32_t third = blockwise_checksum();
    tell(blockwise_save());
    steps(1);
    tell(blockwise_restore());
    tell(blockwise_checksum() == third);
    steps(2);
    worn = 1;
    tell(blockwise_save());
    worn = 0;
    tell(blockwise_restore());
    tell(blockwise_checksum() == third);
    tell(blockwise_forget());
    tell(blockwise_restore());
    blockwise_init(1);
    tell((int)blockwise_steps());
    steps(1);
    tell(blockwise_save());
    tell(blockwise_restore());
    return 0;
}
"""


def said_on_flash(firmware, folder, program, faults, line, before):
    """The numbers that ``program`` prints on a flash whose code has ``before`` in front of a line of it."""
    project(firmware, folder / "project")
    (folder / "project" / "main.c").write_text(program)
    flash = folder / "project" / "port_flash_host.c"
    text = flash.read_text()
    assert text.count(line) == 1
    flash.write_text(f"extern int {faults};\n" + text.replace(line, f"{before}{line}"))
    host.build(folder / "project", "main", folder / "main")
    done = subprocess.run([folder / "main"], cwd=folder, check=True, capture_output=True, text=True)
    return [*map(int, done.stdout.split())]


@pytest.mark.slow
def test_what_is_kept_counts_until_something_newer_is_whole_or_all_is_forgotten(firmware, tmp_path):
    """Where a unit does not hold what was programmed, the save says so and the one before it counts."""
    last, worn = "    return stored(at, bits, sizeof bits);", "    if (worn) bits[0] &= 0xFE;\n"
    told = iter(said_on_flash(firmware, tmp_path, PROGRAM, "worn", last, worn))
    assert [next(told) for _ in range(3)] == [-1, 0, 0]  # nothing is kept; the start, and step 3
    assert [next(told) for _ in range(2)] == [3, 1]
    assert [next(told) for _ in range(3)] == [-1, 3, 1]  # worn flash
    assert [*told] == [0, -1, 0, 0, 1]  # forgotten, and begun anew


FORGETTING = """\
#include "blockwise.h"
#include <stdio.h>
int worn_slot = -1, erases_left = -1;
static void tell(int value) { printf("%d ", value); }
static void steps(int count) { while (count--) blockwise_step(); }
static void saved(int times)
{
    worn_slot = erases_left = -1;
    if (blockwise_forget()) tell(-99);
    for (blockwise_init(1); times--;) {
        steps(5);
        if (blockwise_save()) tell(-99);
    }
}
int main(void)
{
    const int slot = BLOCKWISE_SLOT_BYTES / BLOCKWISE_SECTOR_BYTES;
    for (int times = 2; times < 4; times++) { /* the newest in slot 1, then in slot 0 */
        saved(times);
        erases_left = slot;
        blockwise_forget();
        erases_left = -1;
        tell(blockwise_restore());
        saved(times);
        worn_slot = times == 2; /* the newest cannot be erased */
        tell(blockwise_forget());
        blockwise_init(2);
        steps(3);
        tell(blockwise_save());
        uint32_t third = blockwise_checksum();
        steps(1);
        tell(blockwise_restore());
        tell(blockwise_checksum() == third);
        saved(times);
        worn_slot = times == 3; /* the one before it cannot */
        tell(blockwise_forget());
        tell(blockwise_restore());
    }
    return 0;
}
"""


@pytest.mark.slow
def test_an_older_training_never_comes_back_where_forgetting_fails_or_is_cut(firmware, tmp_path):
    """Cut between its slots the newest counts; a save behind one that failed is newer than what is left."""
    first = "    static uint8_t ones[BLOCKWISE_SECTOR_BYTES];"
    worn = "    if (worn_slot >= 0 && at / BLOCKWISE_SLOT_BYTES == (uint32_t)worn_slot) return -1;\n"
    cut = "    if (erases_left >= 0 && erases_left-- == 0) return erases_left = 0;\n"
    told = said_on_flash(firmware, tmp_path, FORGETTING, "worn_slot, erases_left", first, worn + cut)
    assert told[:7] == [10, -1, 0, 3, 1, -1, 10]
    assert told[7:] == [15, -1, 0, 3, 1, -1, 15]


ALONG_DIRECTIONS = """\
#include "blockwise.h"
#include <stdio.h>
static void steps(int count)
{
    while (count--) {
        uint8_t *image = blockwise_images();
        for (int i = 0; i < BLOCKWISE_HEIGHT * BLOCKWISE_WIDTH; i++) image[i] = (uint8_t)(37 * i);
        blockwise_labels()[0] = 3;
        blockwise_step();
    }
}
int main(void)
{
    blockwise_init(5);
    steps(2);
    int saved = blockwise_save();
    steps(3);
    uint32_t fifth = blockwise_checksum();
    blockwise_init(9);
    steps(1);
    int behind = blockwise_restore();
    steps(3);
    printf("%d %d %d", saved, behind, blockwise_checksum() == fifth);
    return 0;
}
"""


@pytest.mark.slow
def test_directions_go_on_as_the_seed_that_was_kept_draws_them(tmp_path):
    firmware = saving("stm32f103", "niti-zo", every=1)
    project(firmware, tmp_path / "project")
    (tmp_path / "project" / "main.c").write_text(ALONG_DIRECTIONS)
    host.build(tmp_path / "project", "main", tmp_path / "main")
    done = subprocess.run([tmp_path / "main"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "0 2 1"
