select
    tweet.id || ' ' || cast(report.date as varchar(10)) as tweet_and_day,
    tweet.id as tweet_id,
    report.date,
    account.id as account_id,
    cast(author.id as {{ dbt.type_bigint() }}) as author_id,
    'https://twitter.com/p/status/' || tweet.id as link,
    report.impressions,
    report.likes
from {{ source('engagement', 'organic_tweet_report') }} as report
inner join {{ source('engagement', 'tweet') }} as tweet on tweet.id = report.organic_tweet_id
left join {{ source('engagement', 'account_history') }} as account on account.id = tweet.account_id
left join {{ source('engagement', 'twitter_user_history') }} as author on author.id = tweet.user_id
