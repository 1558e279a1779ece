// Package credibility weighs what few have seen of their own against what all have seen:
// the model of Bühlmann and Straub, "Glaubwürdigkeit für Schadensätze", Bulletin of the
// Swiss Association of Actuaries 70 (1970); notation and estimators as in Bühlmann and
// Gisler, A Course in Credibility Theory (2005), chapter 4.
//
// A class j (a branch, say) has observations, each an amount over a weight (claims over
// expected claims, say). Its ratio is X = Σ amount / Σ weight, and its credible ratio
// Z X + (1 − Z) m, with Z = w/(w + K), K = v/a: v is the variance within classes per unit
// of weight, a that between them, m the mean of the ratios weighted by Z. With that m,
// credible amounts add up to those that were seen.
package credibility

import "math"

// Class is what was seen of one class. The zero Class has seen nothing.
type Class struct {
	n      int     // observations of a positive weight
	weight float64 // Σ w
	amount float64 // Σ y, of all
	seen   float64 // Σ y of a positive weight
	square float64 // Σ y²/w
}

// Add adds an observation: an amount over a weight of at least 0. Where the weight is 0
// the amount counts in the ratio, and says nothing of how ratios vary.
func (c *Class) Add(weight, amount float64) {
	c.amount += amount
	if weight > 0 {
		c.n++
		c.weight += weight
		c.seen += amount
		c.square += float64(amount * amount / weight)
	}
}

// Weight is the sum of the weights.
func (c *Class) Weight() float64 { return c.weight }

// Ratio is the class's own, amounts over weights; 0 where nothing weighs.
func (c *Class) Ratio() float64 {
	if c.weight <= 0 {
		return 0
	}
	return c.amount / c.weight
}

// Structure is what classes have in common.
type Structure struct {
	Mean    float64 // m: of the ratios, weighted by credibility
	Within  float64 // v, per unit of weight
	Between float64 // a; 0 where classes differ by no more than chance would have them
	// Estimated is false where the classes cannot say: fewer than two of some weight, or
	// none seen twice. K is then the caller's.
	Estimated bool
	k         float64
	total     float64 // Σ w
	credible  float64 // Σ Z
}

// Estimate finds the structure of classes. K is the constant, in units of weight, where
// they cannot say it themselves.
func Estimate(classes []Class, k float64) Structure {
	s := Structure{k: k}
	within, free, total, squares, own, n := 0.0, 0, 0.0, 0.0, 0.0, 0
	for i := range classes {
		c := &classes[i]
		if c.weight <= 0 {
			continue
		}
		n++
		// Σ w (x − x̄)², which rounding may leave just below zero.
		within += max(0, c.square-float64(c.seen*c.seen/c.weight))
		free += c.n - 1
		total += c.weight
		squares += float64(c.weight * c.weight)
		own += c.amount
	}
	if n == 0 {
		return s
	}
	mean := own / total
	if free > 0 {
		s.Within = within / float64(free)
	}
	if n > 1 && free > 0 {
		s.Estimated = true
		spread := 0.0
		for i := range classes {
			if c := &classes[i]; c.weight > 0 {
				d := c.Ratio() - mean
				spread += float64(c.weight * float64(d*d))
			}
		}
		s.Between = max(0, (spread-float64(float64(n-1)*s.Within))/(total-squares/total))
	}
	sum, weight := 0.0, 0.0
	for i := range classes {
		z := s.Z(classes[i].weight)
		sum += float64(z * classes[i].Ratio())
		weight += z
	}
	s.total, s.credible = total, weight
	s.Mean = mean // of classes that do not differ it is the common one
	if weight > 0 {
		s.Mean = sum / weight
	}
	return s
}

// K is the constant v/a, in units of weight: a class of that weight has credibility one
// half. +Inf where classes do not differ.
func (s Structure) K() float64 {
	switch {
	case !s.Estimated:
		return s.k
	case s.Between == 0:
		return math.Inf(1)
	}
	return s.Within / s.Between
}

// Z is the credibility of a class of a weight, 0 to 1.
func (s Structure) Z(weight float64) float64 {
	k := s.K()
	switch {
	case weight <= 0 || math.IsInf(k, 1):
		return 0
	case k <= 0:
		return 1
	}
	return weight / (weight + k)
}

// Ratio is a class's credible ratio.
func (s Structure) Ratio(c *Class) float64 {
	z := s.Z(c.weight)
	return float64(z*c.Ratio()) + float64((1-z)*s.Mean)
}

// Known is the weight that a class would need by itself to know its ratio as well as its
// credible ratio is known: the mean square error is Within over it. That of the homogeneous
// estimator is a (1 − Z) (1 + (1 − Z)/ΣZ), Bühlmann and Gisler, chapter 4.
func (s Structure) Known(weight float64) float64 {
	if s.credible == 0 {
		return s.total
	}
	z := s.Z(weight)
	return (weight + s.K()) / (1 + (1-z)/s.credible)
}

// Full is the number of claims from which on a class's own frequency is taken as it is:
// within 5% of the true one with a probability of 90%, if claims are Poisson,
// (1.645/0.05)². Longley-Cook, "An introduction to credibility theory", Proceedings of the
// Casualty Actuarial Society 49 (1962).
const Full = 1082

// Limited is the credibility of limited fluctuation: the square root of the share that n
// is of what is fully credible, at most 1.
func Limited(n, full float64) float64 {
	if !(n > 0) {
		return 0
	}
	return min(1, math.Sqrt(n/full))
}
