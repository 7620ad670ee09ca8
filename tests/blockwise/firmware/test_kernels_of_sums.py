"""The C kernels of sums of products against PyTorch in float64: plain ones here, fast ones on their cores."""

import kernel_cases
import kernel_programs


def test_plain_sums_of_every_shape_coding_and_fill_are_those_of_pytorch(tmp_path):
    cases = list(kernel_cases.cases())
    want = kernel_cases.expected(cases)
    program = kernel_programs.host_program("plain", tmp_path)
    sums = kernel_programs.run_on_host(program, kernel_cases.batch(cases), len(want))
    assert kernel_cases.first_difference(cases, sums) == ""
