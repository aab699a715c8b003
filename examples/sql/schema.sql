-- What the bucket BILLBUS_STATE says, as tables. The columns are named like the fields in
-- docs/events.md; add those that you need, and start over with `drop schema billbus cascade`.

create schema if not exists billbus;

-- How far the bucket was read. A bucket that was deleted and created again is another one.
create table if not exists billbus.position (
    bucket   text primary key,
    created  timestamptz not null,
    revision bigint not null
);

create table if not exists billbus.subscriptions (
    key                  text primary key,
    revision             bigint not null, -- of the key in the bucket
    subscription_id      text not null,
    livemode             boolean not null,
    account_id           text,
    customer_id          text,
    user_id              text,
    status               text,
    access               text,
    currency             text,
    created              timestamptz,
    current_period_start timestamptz,
    current_period_end   timestamptz,
    trial_end            timestamptz,
    cancel_at_period_end boolean,
    canceled_at          timestamptz, -- when the cancellation was requested
    ends_at              timestamptz, -- when it ends or ended
    ordering             text not null,
    record               jsonb not null -- everything
);
create index if not exists subscriptions_user on billbus.subscriptions (user_id);
create index if not exists subscriptions_customer on billbus.subscriptions (customer_id);
create index if not exists subscriptions_ends on billbus.subscriptions (ends_at);

create table if not exists billbus.items (
    key                 text not null references billbus.subscriptions on delete cascade,
    number              int not null, -- in the list of items
    id                  text,
    price_id            text,
    product_id          text,
    product_name        text,
    lookup_key          text,
    quantity            bigint,
    unit_amount         bigint, -- in the smallest unit of currency
    unit_amount_decimal numeric,
    currency            text,
    interval            text,
    interval_count      bigint,
    usage_type          text,
    primary key (key, number)
);
create index if not exists items_product on billbus.items (product_id);

create table if not exists billbus.access (
    key             text primary key,
    revision        bigint not null, -- of the key in the bucket
    access          text not null,
    user_id         text,
    subscription_id text, -- which gives access
    since           timestamptz,
    until           timestamptz,
    ambiguous       boolean,
    document        jsonb not null -- everything
);
create index if not exists access_user on billbus.access (user_id);
