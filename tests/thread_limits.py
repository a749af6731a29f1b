"""One thread for everything: numbers do not depend on the cores, and busy cores do not fight."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch, FAISS and the linear algebra of NumPy use one thread in this process."""
    import faiss
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])
