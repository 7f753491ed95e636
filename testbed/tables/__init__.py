"""Tables that are made of many runs: claims, costs, the matrix, and how real resolvers fare."""
