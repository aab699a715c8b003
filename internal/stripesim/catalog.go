package stripesim

// price picks one of the plans.
func (l *life) price() price { return pick(l, catalog()[:3]...) }

// addOn picks a price that is sold in addition to a plan.
func (l *life) addOn() price { return pick(l, catalog()[3:]...) }

// otherPrice picks a plan that the subscription does not have.
func (l *life) otherPrice() price {
	for {
		if p := l.price(); p.id != l.sub.items[0].price.id {
			return p
		}
	}
}

func (l *life) yearlyPrice() price {
	p := l.price()
	p.id, p.interval, p.amount = p.id+"Yearly", "year", 10*p.amount
	if p.lookupKey != "" {
		p.nickname, p.lookupKey = p.name+" yearly", p.lookupKey+"_yearly"
	}
	return p
}

// meteredPrice costs half a cent per call.
func meteredPrice() price {
	return price{
		id: "price_1BillbusSimulatedCalls", product: "prod_Calls", name: "Calls", nickname: "API calls", interval: "month",
		decimal: "0.5", meter: "mtr_test_BillbusSimulated", created: 1_700_000_000,
	}
}

func catalog() []price {
	var prices []price
	for i, name := range []string{"Basic", "Pro", "Team", "Storage", "Support"} {
		p := price{
			id: "price_1BillbusSimulated" + name, product: "prod_" + name, name: name, interval: "month",
			amount: int64(500 * (i + 1)), created: 1_700_000_000 + int64(i),
		}
		if i%2 == 0 {
			p.nickname, p.lookupKey = name+" monthly", "key_"+name
		}
		prices = append(prices, p)
	}
	return prices
}
