"""Where the tokens of any model lie in its picture, and what a page shows of attention between such places."""
