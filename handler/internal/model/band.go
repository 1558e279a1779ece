package model

// Band is how many standard errors a value's band of chance reaches to either side, by the
// bags of the fit: the 97.5% point of Student's t. An error is half the value's own, with a
// degree of freedom less than there are bags, and half its table's mean. A table's values
// move together, so that the mean has the chance of about four of them, and both together
// that of some 7/3 degrees for each bag but one (Satterthwaite 1946); more than seven are not
// counted, as a table's errors are not alike.
//
// The band holds the truth in about 95% of cases where the effect is smooth and there are
// four bags or more, and in fewer where it leaps, which the tables' smoothing rounds off
// (TestBandsCover).
func Band(bags int) float64 {
	switch bags {
	case 2:
		return 3.764
	case 3:
		return 2.627
	}
	return 2.365
}
