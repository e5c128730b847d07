"""What is not the product: the embedded servers, the benchmark, the chaos campaign. The product imports none of it."""
