"""When quantizers set themselves up, and what saving and copying them keeps."""

import copy

import torch
from inner import inner
from quantizer_cases import every_usual, new, values


@every_usual
def test_an_empty_tensor_stays_empty_and_sets_nothing_up(name, bits, role):
    for dtype in (torch.float32, torch.bfloat16):
        with inner(dtype=dtype):
            x = torch.empty(0, 4, dtype=dtype)
            quantizer = new(name, bits, role, values(7)).to(dtype)
            leaf = x.clone().requires_grad_()
            y = quantizer(leaf)
            y.sum().backward()
            assert y.shape == leaf.grad.shape == x.shape
            fresh = new(name, bits, role, values(7)).to(dtype)
            assert torch.equal(quantizer(values(7).to(dtype)), fresh(values(7).to(dtype)))


@every_usual
def test_a_saved_quantizer_comes_back_without_setting_itself_up_again(name, bits, role):
    trained = new(name, bits, role, values(7))
    trained(values(7))
    with torch.no_grad():
        for step in trained.parameters():
            step.mul_(1.7)
    loaded = new(name, bits, role, values(7))
    loaded.load_state_dict(trained.state_dict())
    other = 10 * values(8)
    assert torch.equal(loaded(other), trained(other))
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), trained.parameters(), strict=True))


@every_usual
def test_a_quantizer_saved_before_use_still_sets_itself_up(name, bits, role):
    x = values(7)
    fresh, loaded = new(name, bits, role, x), new(name, bits, role, x)
    loaded.load_state_dict(fresh.state_dict())
    assert torch.equal(loaded(x), new(name, bits, role, x)(x))


@every_usual
def test_a_deep_copy_computes_the_same_and_learns_alone(name, bits, role):
    original = new(name, bits, role, values(7))
    before = original(values(7))
    twin = copy.deepcopy(original)
    other = 10 * values(8)
    assert torch.equal(twin(other), original(other))
    with torch.no_grad():
        for step in twin.parameters():
            step.mul_(3)
    assert torch.equal(original(values(7)), before)


@every_usual
def test_meta_tensors_have_a_shape_and_leave_the_quantizer_to_be_set_up(name, bits, role):
    x = values(7)
    quantizer = new(name, bits, role, x)
    twin = copy.deepcopy(quantizer).to("meta")
    y = twin(torch.empty(x.shape, device="meta"))
    assert y.shape == x.shape
    assert y.is_meta
    assert torch.equal(quantizer(x), new(name, bits, role, x)(x))
