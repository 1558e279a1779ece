package portfolio

// RowEncoder encodes rows one by one, as an import keeps them between its stages. The
// customer's id is left out: whoever keeps a row has it already.
type RowEncoder struct{ e Encoder }

// Customer appends a row's encoding to dst.
func (r *RowEncoder) Customer(dst []byte, c *Customer) []byte {
	row := *c
	row.ID = ""
	r.e.b, r.e.plain = dst, true
	r.e.customer(&row)
	return r.e.b
}

// Policy appends a row's encoding to dst.
func (r *RowEncoder) Policy(dst []byte, p *Policy) []byte {
	row := *p
	row.CustomerID = ""
	r.e.b, r.e.plain = dst, true
	r.e.policy(&row)
	return r.e.b
}

// Claim appends a row's encoding to dst.
func (r *RowEncoder) Claim(dst []byte, c *Claim) []byte {
	row := *c
	row.CustomerID = ""
	r.e.b, r.e.plain = dst, true
	r.e.claim(&row)
	return r.e.b
}

// Contact appends a row's encoding to dst.
func (r *RowEncoder) Contact(dst []byte, c *Contact) []byte {
	row := *c
	row.CustomerID = ""
	r.e.b, r.e.plain = dst, true
	r.e.contact(&row)
	return r.e.b
}

// RowDecoder adds rows that a RowEncoder encoded to an aggregate. Their strings are
// parts of what is decoded; all else is good until Reset.
type RowDecoder struct{ d Decoder }

// Reset starts a new aggregate.
func (r *RowDecoder) Reset() {
	r.d.consents, r.d.attributes = r.d.consents[:0], r.d.attributes[:0]
}

// Add decodes a row of a table and appends it to a's.
func (r *RowDecoder) Add(a *Aggregate, t Table, customerID, row string) error {
	d := &r.d
	d.s, d.bad, d.known = row, false, d.known[:0]
	switch t {
	case Customers:
		a.Customers = append(a.Customers, Customer{})
		c := &a.Customers[len(a.Customers)-1]
		d.customer(c)
		c.ID = customerID
	case Policies:
		a.Policies = append(a.Policies, Policy{})
		p := &a.Policies[len(a.Policies)-1]
		d.policy(p)
		p.CustomerID = customerID
	case Claims:
		a.Claims = append(a.Claims, Claim{})
		c := &a.Claims[len(a.Claims)-1]
		d.claim(c)
		c.CustomerID = customerID
	case Contacts:
		a.Contacts = append(a.Contacts, Contact{})
		c := &a.Contacts[len(a.Contacts)-1]
		d.contact(c)
		c.CustomerID = customerID
	}
	if d.bad || d.s != "" {
		return errCodec
	}
	return nil
}
