"""Simplification as equations: the left side is rewritten to the right.

A letter says what it stands for: `a b c` any real value, `x y` one that varies over classes, `k l` one that does not,
`n m` a literal, `p q` a condition, `t u` a class index. After `when` stands what must be proved by interval arithmetic
(`finite a`, `a >= 0`, `a != 0`), of literals (`n beside m`: neither loses a digit in their sum, in float32 either; in
`1 - p + 1e-8` the small one would be lost, and with it what it guards), of what float32 can hold (`invertible k`: 1 / k
neither overflows nor loses digits; `invertible square k`: nor does its square; `small x`: nor does that of x) or by
structure (`k later x`: k is known only after a reduction that x does not wait for; `plain x`: x is not a onehot).

A rule may turn what is not finite into something finite (`a * (b / a) = b`), never one finite value into another, and
never a poisoned row into a healthy one unless the operands are known to be finite.
"""

from __future__ import annotations

IDENTITIES = """
0 + a = a
a - 0 = a
0 - a = -a
1 * a = a
-1 * a = -a
0 * a = 0                               when finite a
a / 1 = a
a / -1 = -a
0 / a = 0                               when finite a, a != 0
a - a = 0                               when finite a
a / a = 1                               when finite a, a != 0
-(-a) = a
a + -b = a - b
a - -b = a + b
-a - b = -(a + b)
-(a - b) = b - a
-a * b = -(a * b)
-a / b = -(a / b)
a / -b = -(a / b)
-(n * a) = -n * a
n * (m * a) = (n * m) * a
n + (m + a) = (n + m) + a               when n beside m
a - n = -n + a
n - (m + a) = (n - m) - a               when n beside m
n + (m - a) = (n + m) - a               when n beside m
(n * a) / m = (n / m) * a
n / (m * a) = (n / m) / a
a * (b / a) = b
(a * b) / a = b
a * (b / (c * a)) = b / c
(a / b) / c = a / (b * c)
a * a = square(a)
a ^ 0 = 1
a ^ 1 = a
a ^ 2 = square(a)
a ^ 3 = a * square(a)
a ^ -1 = 1 / a
a ^ 0.5 = sqrt(a)                       when a >= 0
square(-a) = square(a)
square(abs(a)) = square(a)
square(sqrt(a)) = a                     when a >= 0
sqrt(square(a)) = abs(a)
abs(-a) = abs(a)
abs(a) = a                              when a >= 0
relu(a) = a                             when a >= 0
exp(log(a)) = a                         when a >= 0
log(exp(a)) = a
max(a, a) = a
min(a, a) = a
stop(n) = n
stop(stop(a)) = stop(a)
t == t = true
p and p = p
p or p = p
true and p = p
false or p = p
false and p = false
true or p = true
not not p = p
if true then a else b = a
if false then a else b = b
if p then a else a = a
if not p then a else b = if p then b else a
if p then (if p then a else b) else c = if p then a else c
if p then a else (if p then b else c) = if p then a else c
"""

STABILITY = """
log(softmax(a)) = log_softmax(a)
log(softmax(a)[t]) = log_softmax(a)[t]
exp(log_softmax(a)) = softmax(a)
exp(log_softmax(a)[t]) = softmax(a)[t]
log(sigmoid(a)) = log_sigmoid(a)
1 - sigmoid(a) = sigmoid(-a)
log(1 + a) = log1p(a)
log(1 - a) = log1p(-a)
log1p(-sigmoid(a)) = log_sigmoid(-a)
log1p(exp(a)) = softplus(a)
-log_sigmoid(a) = softplus(-a)
-1 + exp(a) = expm1(a)
log(sum(exp(a))) = logsumexp(a)
log(n * a) = log(n) + log(a)            when n > 0, a >= 0
log(a / n) = log(a) - log(n)            when n > 0, a >= 0
log(a ^ k) = k * log(a)                 when k != 0, a >= 0
log(1 / a) = -log(a)                    when a >= 0
b / softmax(a) = b * exp(-log_softmax(a))
b / softmax(a)[t] = b * exp(-log_softmax(a)[t])
"""

CHEAPNESS = """
mean(a) = sum(a) / C
onehot(t) / a = onehot(t) * (1 / a)
square(onehot(t)) = onehot(t)
onehot(t) * (onehot(t) * a) = onehot(t) * a
x * (onehot(t) * a) = onehot(t) * (x * a)     when plain x
(onehot(t) * a) / b = onehot(t) * (a / b)
square(onehot(t) * a) = onehot(t) * square(a)
x * (k * y) = k * (x * y)
(k * x) / y = k * (x / y)
onehot(t)[t] = 1
sum(onehot(t)) = 1
sum(onehot(t) * a) = a[t]
sum(softmax(a)) = 1
sum(a + b) = sum(a) + sum(b)
sum(a - b) = sum(a) - sum(b)
sum(-a) = -sum(a)
sum(k * x) = k * sum(x)
sum(x / k) = sum(x) / k
"""

LOWERED = """
x / k = x * (1 / k)                           when invertible k
x * (k * y) = k * (x * y)
square(k * x) = square(k) * square(x)         when invertible square k, small x
(k * x) / y = k * (x / y)
sum(k * x) = k * sum(x)
sum(-x) = -sum(x)
sum(x - log(k)) = sum(x) - C * log(k)         when k later x
log(k) + max(x) - x = log(k) - (x - max(x))   when k later x
"""

WALKED = """
sum(if p then 0 else k * x) = k * sum(if p then 0 else x)
sum(if p then 0 else -x) = -sum(if p then 0 else x)
sum(if p then k * x else 0) = k * sum(if p then x else 0)
if p then 0 else (if q then 0 else a) = if p or q then 0 else a
if p then 0 else (if q then a else 0) = if q and not p then a else 0
sum(if p then k else 0) = k * sum(if p then 1 else 0)    when k later p, invertible k
sum(if p then log(k) - x else 0) = log(k) * sum(if p then 1 else 0) - sum(if p then x else 0) when k later x, k >= 1
sum(x * (y - log(k))) = sum(x * y) - log(k) * sum(x)     when k later y
exp(l * (x - log(k))) = exp(-l * log(k)) * exp(l * x)    when k later x, k >= 1, l >= 0, x <= 0
"""
