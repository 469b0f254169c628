/**
 * What the passwords that are tried first are made of: words, names and rows of keys. Numbers and signs hung on to them,
 * and letters swapped for signs, are undone before these are looked for; so a few hundred words stand for the many
 * thousand passwords of the lists that are passed around.
 */
export const commonWords: readonly string[] = `
password passwort passwd passcode passphrase motdepasse contrasena parola haslo senha wachtwoord
letmein letmeinn openup opensesame welcome welkom bienvenue willkommen hello hallo bonjour hola
admin administrator root superuser sysadmin guest user username login logon signin access default
changeme changeit temporary temppass secret topsecret private security secure unlock master
test testing tester demo sample example trial public qwerty qwertyuiop qwertz azerty asdf asdfgh asdfghjkl
zxcv zxcvbn zxcvbnm qazwsx qazwsxedc 1qaz2wsx 1q2w3e4r 1q2w3e4r5t 1q2w3e qweasd qweasdzxc q1w2e3r4 zaq12wsx
zaq1 xsw2 poiuytrewq lkjhgfdsa mnbvcxz qwer qaz wsx edc rfv asd zxc
1234567890 0123456789 9876543210 123456789 12345678 1234567 123456 12345 1234 123123 321321 112233 121212
654321 54321 4321 0987654321 987654321 98765 159753 147258369 147258 789456123 789456 456789 111111 222222 333333
444444 555555 666666 777777 888888 999999 000000 1111 2222 3333 4444 5555 6666 7777 8888 9999 0000 696969 131313
101010 202020 252525 232323 123321 123654 1313 6969 2000 2001 2010 2020 2021 2022 2023 2024 2025 2026 2027
abcdefghijkl abcdefgh abcdefg abcdef abcd1234 abcde abcd abc123 abc xyz aaaa bbbb zzzz aaa111 a1b2c3d4 a1b2c3 1a2b3c
iloveyou iloveu loveyou lovely lover loveme love forever always darling sweetheart sweetie sweet honey babygirl baby
babe kisses kiss heart angel angels princess prince queen king beautiful pretty cutie sexy hottie
monkey dragon tiger lion eagle falcon hawk wolf bear panther cobra viper shark dolphin horse pony kitty kitten puppy
doggie doggy dogs cats bunny rabbit chicken turtle butterfly spider scorpion phoenix unicorn rooster bulldog mustang
sunshine shadow rainbow flower rose lily daisy summer winter spring autumn january february march april june july
august september october november december monday tuesday wednesday thursday friday saturday sunday
morning midnight starlight moonlight thunder lightning storm snow fire water ocean river forest mountain island
heaven diamond crystal silver golden gold platinum purple orange yellow green blue black white pink red
football soccer baseball basketball hockey tennis golf rugby cricket boxing racing skate surfer champion winner
yankees cowboys steelers eagles lakers chelsea arsenal liverpool barcelona madrid juventus manchester united
superman batman spiderman ironman pokemon pikachu naruto starwars startrek skywalker gandalf matrix merlin
minecraft fortnite roblox playstation nintendo xbox mario zelda sonic counterstrike warcraft
computer internet google facebook twitter instagram youtube linkedin myspace microsoft windows apple samsung android
iphone oracle cisco linux ubuntu debian docker kubernetes cluster server database postgres postgresql mysql mongodb
redis elastic jenkins gitlab github amazon azure cloud network router switch firewall wireless wifi
pepper cookie coffee cheese chocolate banana cherry apples peach orange lemon sugar candy pizza whiskey vodka beer
guitar music rock metal jazz metallica nirvana slipknot eminem rockstar
ferrari porsche mercedes corvette camaro harley yamaha toyota honda chevy ford jaguar bentley lamborghini
michael michelle jennifer jessica jordan joshua matthew daniel andrew anthony robert thomas charlie george william
james john david richard joseph steven patrick alexander alex maria martin nicole amanda ashley samantha stephanie
hannah sophie sophia emma olivia chloe lauren rachel rebecca sarah laura anna maggie ginger bailey buster tigger
cooper hunter ranger killer maverick murphy oliver oscar max jack jake sam peter paul mark frank harry henry
victoria veronica natalie natasha vanessa melissa elizabeth catherine alexandra isabella gabriel sebastian
london paris berlin moscow america canada mexico brasil india china japan russia france germany italia espana
texas dallas houston chicago boston phoenix denver florida california newyork
whatever trustno1 trustme nothing something anything freedom liberty justice peace hope faith grace blessed
jesus christ jesuschrist godisgood church bible lord family friends friend mother father mommy daddy mama papa
sister brother buddy lucky happy smile funny crazy cool awesome magic mystery genius hacker ninja samurai
pirate soldier marine army navy police doctor teacher student school college company business office manager
money dollar million cash bank credit change please enter remember forgot mypassword newpassword mypass
correcthorsebatterystaple correct battery staple swordfish chocolat fuckyou fuckoff fuck asshole bitch shit
pussy blowme horny
plinth`
  .trim()
  .split(/\s+/);
