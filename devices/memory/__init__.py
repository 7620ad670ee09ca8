"""Where bytes go: addresses in RAM, paging to flash, and the reference study's formula."""
