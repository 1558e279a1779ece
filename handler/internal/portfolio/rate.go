package portfolio

import (
	"encoding/json"
	"strconv"
)

// Rate is a share of a premium where a row gives one: none is not a rate of 0, and the
// zero Rate is none. In JSON it is a number, and left out or null where there is none.
type Rate struct {
	Share float64
	Given bool
}

// RateOf is a rate that is given.
func RateOf(share float64) Rate {
	return Rate{share + 0, true} // −0 is written in other bytes than 0, and says the same
}

// MarshalJSON writes a number, or null where there is no rate.
func (r Rate) MarshalJSON() ([]byte, error) {
	if !r.Given {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, r.Share, 'g', -1, 64), nil
}

// UnmarshalJSON reads a number; null is no rate.
func (r *Rate) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*r = Rate{}
		return nil
	}
	var share float64
	if err := json.Unmarshal(b, &share); err != nil {
		return err // which gets the field's name on the way
	}
	*r = RateOf(share)
	return nil
}
